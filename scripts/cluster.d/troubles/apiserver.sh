# The API server is restarted; the controllers lose their leases and end.
make() {
  stop apiserver
  start_apiserver
}
mend() { start_control; }
