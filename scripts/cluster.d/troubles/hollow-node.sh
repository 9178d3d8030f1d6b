# A node without real containers stops, with ten pods on it.
make() { stop hollow-node; }
mend() {
  start_hollow_node
  wait_for node-2 60 is_ready node-2
}
