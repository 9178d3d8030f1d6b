# Paths, processes and requests of the cluster of scripts/cluster.

# All that the cluster writes; `down` removes it.
top=${PODBELL_CLUSTER:-${TMPDIR:-/tmp}/podbell-cluster}
# Certificates, kubeconfigs, configurations.
conf=$top/conf
# Process ids, and what the processes say.
pids=$top/pids
logs=$top/log
# A file system of its own for containerd and the kubelet, so that it can be filled.
disk=$top/disk
sockets=$top/run
netns=podbell-cluster
# Leads to the folder of the one cluster that a machine can have: its network has the same name for all.
owner=/run/podbell-cluster
# The node's address, the API server's Service, and the networks of Services and pods: all inside of the namespace.
node_ip=10.99.0.1
api_ip=10.96.0.1
service_network=10.96.0.0/16
pod_network=10.244.0.0/24
registry=registry.example.com

# Not `ip netns exec`: that mounts a fresh /sys without cgroups.
inside() { nsenter --net="/run/netns/$netns" "$@"; }
kubectl() { inside "$(built kubectl)" --kubeconfig "$conf/admin.kubeconfig" --cache-dir "$top/kubectl" "$@"; }
helm() {
  "$here/render-chart" --prepare
  KUBECONFIG=$conf/admin.kubeconfig HOME=$top/helm PYTHONPATH=${PODBELL_HELM_CACHE:-$cache/helm}/python \
    inside python3 "$here/cluster.d/helm.py" "$@"
}
ctr() { command ctr --address "$sockets/containerd.sock" --namespace k8s.io "$@"; }

# start NAME COMMAND...: in the background, inside of the namespace.
start() {
  local name=$1
  shift
  runs "$name" && return
  nsenter --net="/run/netns/$netns" setsid "$@" >>"$logs/$name.log" 2>&1 9>&- </dev/null &
  # With its start time, because the kernel uses numbers again.
  printf '%s %s\n' $! "$(started $!)" >"$pids/$name"
}

# The moment a process started, in the kernel's ticks; empty if there is none.
# Also if it has ended, and only its parent has not noticed.
started() { sed 's/.*) //; /^Z/d' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# Whether the process of this name runs; sets `pid`.
runs() {
  local since
  read -r pid since 2>/dev/null <"$pids/$1" && [[ -n $since && $(started "$pid") == "$since" ]]
}

# stop NAME [SIGNAL]: ends it and waits for its end.
stop() {
  runs "$1" || return 0
  # It may end by itself in between.
  kill "-${2:-TERM}" "$pid" || true
  wait_for "the end of $1" 20 not runs "$1" || { kill -KILL "$pid" && wait_for "the end of $1" 20 not runs "$1"; } || true
  rm -f "$pids/$1"
}

not() { ! "$@"; }

# Fails if a cluster of another folder is there. A link is made with its name at once, or not at all.
claim() {
  # Of a cluster whose network is gone, as after a restart of the machine, nothing runs.
  inside true 2>/dev/null || rm -f "$owner"
  ln -s "$top" "$owner" 2>/dev/null || is_owned ||
    fail "there is one in $(readlink "$owner"): PODBELL_CLUSTER=$(readlink "$owner") scripts/cluster down"
}

is_owned() { [[ $(readlink "$owner") == "$top" ]]; }

# wait_for WHAT SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 until=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= until)); then say "waited in vain for $what"; return 1; fi
    sleep 0.3
  done
}
