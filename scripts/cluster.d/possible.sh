# Whether this machine can run a cluster.

# Fails with what is missing first, in one line.
possible() {
  [[ $EUID -eq 0 ]] || fail "not possible here: it needs root, for namespaces, mounts and containers"
  command -v apt-get >/dev/null || fail "not possible here: it needs Debian's apt-get"
  install_packages iproute2 iptables util-linux
  try "a mount namespace" unshare --mount true
  try "a pid, an ipc and a uts namespace" unshare --pid --ipc --uts --fork true
  try "a file system in a file (a loop device)" mounts_file
  try "a layered file system (overlay)" unshare --mount bash -c 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/{a,b,c,d} &&
    mount -t overlay overlay -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c /mnt/d'
  try "pairs of network devices (veth)" unshare --net ip link add name a0 type veth peer name a1
  try "bridges" unshare --net ip link add name a0 type bridge
  try "address translation (iptables)" unshare --net iptables -t nat -A OUTPUT -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to-destination 10.99.0.1:6443
  try "comments in iptables" unshare --net iptables -t nat -A POSTROUTING -m comment --comment a -j MASQUERADE
  try "cgroups that it can write (cpu, memory, pids)" makes_groups
  try "kernel settings that it can write" sysctl -qw "vm.overcommit_memory=$(</proc/sys/vm/overcommit_memory)"
}

# try WHAT COMMAND...
try() {
  local what=$1 said
  shift
  said=$("$@" 2>&1) || fail "not possible here: it needs $what${said:+ (${said//$'\n'/; })}"
}

mounts_file() (
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  truncate -s 32M "$folder/disk"
  mkfs.ext4 -q "$folder/disk"
  mkdir "$folder/mounted"
  unshare --mount mount -o loop "$folder/disk" "$folder/mounted"
)

# v1 has a tree for each controller, v2 one for all.
makes_groups() (
  root=/sys/fs/cgroup
  if [[ -e $root/cgroup.controllers ]]; then
    for controller in cpu memory pids; do
      grep -qw "$controller" "$root/cgroup.controllers" || { echo "no $controller"; exit 1; }
      # The kubelet's groups get it only if it can be passed on.
      grep -qw "$controller" "$root/cgroup.subtree_control" && continue
      { echo "+$controller" >"$root/cgroup.subtree_control" && echo "-$controller" >"$root/cgroup.subtree_control"; } ||
        { echo "$controller cannot be passed on"; exit 1; }
    done
    trees=("$root")
  else
    trees=("$root"/{cpu,memory,pids})
  fi
  for tree in "${trees[@]}"; do
    group=$tree/podbell-possible.$BASHPID
    mkdir "$group" && rmdir "$group" || exit 1
  done
)
