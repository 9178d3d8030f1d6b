# A quota that allows fewer pods than a workload wants.
quota() { kubectl -n team-a create quota few --hard="pods=$1" --dry-run=client -o yaml | apply; }
make() {
  quota 1
  deployment team-a worker 3 "$sleeps"
}
mend() { quota 10; }
