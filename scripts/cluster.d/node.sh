# The nodes: node-1 with containerd and a kubelet, node-2 a kubelet without a runtime (kubemark's hollow node).

# What the kubelet changes for the whole machine; `down` sets it back.
kernel_settings=(vm.overcommit_memory kernel.panic kernel.panic_on_oops)

# Where containerd, its plugins and the kubelet write whatever they are told. In the node's mount namespace other folders are
# there, and network namespaces of pods stay out of the machine's list. The folders themselves must exist.
node_folders=(/run/netns /run/containerd /var/lib/cni /var/lib/kubelet /var/log/pods /var/log/containers /usr/libexec/kubernetes)

make_node_folders() {
  local folder
  for folder in "${node_folders[@]}"; do
    [[ -d $folder ]] && continue
    mkdir "$folder"
    echo "$folder" >>"$conf/made-folders"
  done
}

mount_disk() {
  mountpoint -q "$disk" && return
  truncate -s 8G "$top/disk.img"
  mkfs.ext4 -q "$top/disk.img"
  mount -o loop "$top/disk.img" "$disk"
}

# cgroup v2: the kubelet needs every controller in the groups that it makes.
prepare_cgroups() {
  local root=/sys/fs/cgroup controller
  [[ -e $root/cgroup.controllers ]] || return 0
  [[ -e $conf/subtree-control ]] || cat "$root/cgroup.subtree_control" >"$conf/subtree-control"
  for controller in $(<"$root/cgroup.controllers"); do
    echo "+$controller" >"$root/cgroup.subtree_control" 2>/dev/null || say "cgroup v2: $controller cannot be passed on"
  done
}

# Takes back what was passed on.
forget_cgroups() {
  local root=/sys/fs/cgroup controller
  [[ -e $conf/subtree-control ]] || return 0
  for controller in $(<"$root/cgroup.subtree_control"); do
    grep -qw "$controller" "$conf/subtree-control" || echo "-$controller" >"$root/cgroup.subtree_control" 2>/dev/null || true
  done
}

write_node_configuration() {
  mkdir -p "$conf/cni" "$conf/hosts/$registry"
  cat >"$conf/cni/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "cluster", "plugins": [
  {"type": "bridge", "bridge": "cluster0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$top/cni", "ranges": [[{"subnet": "$pod_network"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  # Where root lacks CAP_SYS_RESOURCE, runc cannot lower oom_score_adj, and no container starts.
  cat >"$conf/containerd.toml" <<END
version = 2
root = "$disk/containerd"
state = "$sockets/containerd"
[grpc]
  address = "$sockets/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$top/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$registry/pause:3"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$conf/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$conf/hosts"
END
  # A registry that answers and has nothing.
  printf 'server = "http://127.0.0.1:5000"\n[host."http://127.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n' \
    >"$conf/hosts/$registry/hosts.toml"
  echo "nameserver $node_ip" >"$conf/resolv.conf"
  cat >"$conf/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: "$conf/ca.crt"}}
authorization: {mode: AlwaysAllow}
tlsCertFile: $conf/node-1.crt
tlsPrivateKeyFile: $conf/node-1.key
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
resolvConf: $conf/resolv.conf
healthzBindAddress: 127.0.0.1
enforceNodeAllocatable: [pods]
# A quarter of the machine's memory is enough; the rest is for others.
systemReserved: {memory: $(awk '/^MemTotal/ {print int($2 * 3 / 4) "Ki"}' /proc/meminfo)}
evictionHard: {memory.available: 100Mi, nodefs.available: 10%, imagefs.available: 10%, nodefs.inodesFree: 5%}
END
}

start_containerd() {
  mount_disk
  prepare_cgroups
  mkdir -p "$disk/kubelet" "$disk/containerd"
  write_node_configuration
  start registry python3 "$here/cluster.d/registry.py"
  make_node_folders
  start containerd unshare --mount --propagation private "$here/cluster.d/private-mounts" "$top/node" "${node_folders[@]}" -- \
    containerd --config "$conf/containerd.toml"
  wait_for containerd 30 ctr version
}

start_kubelet() {
  [[ -e $conf/kernel-settings ]] || sysctl "${kernel_settings[@]}" >"$conf/kernel-settings"
  # Among containerd's mounts: each sees the volumes of the other.
  runs containerd || fail "containerd does not run: see $logs"
  start kubelet nsenter --mount="/proc/$pid/ns/mnt" "$(built kubelet)" --config="$conf/kubelet.yaml" --kubeconfig="$conf/node-1.kubeconfig" --hostname-override=node-1 \
    --node-ip="$node_ip" --container-runtime=remote --container-runtime-endpoint="unix://$sockets/containerd.sock" \
    --root-dir="$disk/kubelet" --cert-dir="$conf" --v=2
}

# A kubelet whose containers are only said to run. Only pods that tolerate `hollow` come here.
start_hollow_node() {
  # Beside the ports of the other kubelet.
  start hollow-node "$(built kubemark)" --morph=kubelet --name=node-2 --kubelet-port=10260 --kubelet-read-only-port=10265 \
    --kubeconfig="$conf/node-2.kubeconfig" --register-with-taints=hollow=:NoSchedule --v=2
}

# kill_containers NAME: as the kernel kills a process, in all pods.
kill_containers() {
  local id tasks
  # Not by a pipe: `grep -q` ends at the first match, and a list that cannot be written to its end counts as failed.
  tasks=$(ctr task ls)
  for id in $(ctr containers ls -q "labels.\"io.kubernetes.container.name\"==$1"); do
    # Containers that ended before are still listed.
    ! grep -q "^$id .*RUNNING" <<<"$tasks" || ctr task kill --signal KILL "$id"
  done
}

# is_ready NODE
is_ready() { [[ $(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]; }

# Ends containers with their shims, and takes away mounts, cgroups and settings.
stop_node() {
  local task path
  stop kubelet
  stop hollow-node
  for task in $(ctr task ls -q 2>/dev/null); do ctr task kill --signal KILL "$task" || true; done 2>/dev/null
  no_tasks() { [[ -z $(ctr task ls 2>/dev/null | grep RUNNING) ]]; }
  wait_for "the end of all containers" 10 no_tasks || true
  stop containerd
  stop registry
  # Shims outlive containerd, so that containers do.
  pkill -KILL -f "containerd-shim.*$sockets/containerd.sock" || true
  awk -v top="$top/" 'index($2, top) == 1 {print $2}' /proc/mounts | sort -r | while read -r path; do umount -l "$path"; done
  if [[ -e $conf/made-folders ]]; then xargs rmdir --ignore-fail-on-non-empty <"$conf/made-folders"; fi
  [[ ! -e $conf/kernel-settings ]] || sysctl -qp "$conf/kernel-settings"
  # The innermost groups first. v1 has a tree for each controller.
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
  forget_cgroups
}
