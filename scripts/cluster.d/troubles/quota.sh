# A quota that allows fewer pods than a workload wants.
quota() { kubectl -n team-a create quota few --hard="pods=$1" --dry-run=client -o yaml | apply; }
allows() { [[ $(kubectl -n team-a get quota few -o 'jsonpath={.status.hard.pods}') == "$1" ]]; }
make() {
  quota 1
  deployment team-a worker 3 "$sleeps"
}
mend() {
  quota 10
  # It holds when its controller has written it into the status.
  wait_for "the new quota" 60 allows 10
  # The controller tries again after ever longer times, at last 1,000 s. A change of the workload makes it try at once.
  kubectl -n team-a annotate deployment worker --overwrite "tried-again-at=$(date +%s)" >/dev/null
}
