# The kubelet of the node stops, with all pods on it.
make() { stop kubelet; }
mend() { start_kubelet; }
