# The kubelet of the node stops, with all pods on it.
make() { stop kubelet; }
mend() {
  start_kubelet
  wait_for node-1 60 is_ready node-1
}
