# The network of the cluster, its keys, and its control plane.

# A network namespace with one address; nothing leaves it. A pair of devices, because not every kernel has `dummy`.
make_network() {
  [[ -e $conf/network ]] && inside true 2>/dev/null && return
  # Half of one is none.
  [[ ! -e /run/netns/$netns ]] || ip netns del "$netns"
  ip netns add "$netns"
  ip -n "$netns" link set lo up
  ip -n "$netns" link add node0 type veth peer name node0-peer
  ip -n "$netns" link set node0-peer up
  ip -n "$netns" addr add "$node_ip/24" dev node0
  ip -n "$netns" link set node0 up
  # The API server and containerd look for a default route. Nothing answers there.
  ip -n "$netns" route add default via 10.99.0.254 dev node0 onlink
  inside sysctl -qw net.ipv4.ip_forward=1
  # Instead of kube-proxy: the one Service that pods need.
  local chain
  for chain in PREROUTING OUTPUT; do
    inside iptables -t nat -A "$chain" -d "$api_ip/32" -p tcp --dport 443 -j DNAT --to-destination "$node_ip:6443"
  done
  touch "$conf/network"
}

# certificate NAME SUBJECT [ALTERNATIVE NAMES]
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$conf/$1.key" -out "$conf/$1.csr" 2>/dev/null
  openssl x509 -req -in "$conf/$1.csr" -CA "$conf/ca.crt" -CAkey "$conf/ca.key" -CAcreateserial -days 30 -out "$conf/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}") 2>/dev/null
}

# kubeconfig NAME: of the certificate of that name.
kubeconfig() {
  cat >"$conf/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
current-context: cluster
clusters: [{name: cluster, cluster: {server: "https://$node_ip:6443", certificate-authority: "$conf/ca.crt"}}]
users: [{name: $1, user: {client-certificate: "$conf/$1.crt", client-key: "$conf/$1.key"}}]
contexts: [{name: cluster, context: {cluster: cluster, user: $1}}]
END
}

make_keys() {
  [[ -e $conf/done ]] && return
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=cluster-ca -keyout "$conf/ca.key" -out "$conf/ca.crt" 2>/dev/null
  openssl genrsa -out "$conf/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$conf/accounts.key" -pubout -out "$conf/accounts.pub" 2>/dev/null
  certificate apiserver /CN=kube-apiserver \
    "IP:$node_ip,IP:$api_ip,IP:127.0.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  certificate admin /O=system:masters/CN=admin
  certificate controller-manager /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate node-1 /O=system:nodes/CN=system:node:node-1 "IP:$node_ip,DNS:node-1"
  certificate node-2 /O=system:nodes/CN=system:node:node-2
  local who
  for who in admin controller-manager scheduler node-1 node-2; do kubeconfig "$who"; done
  touch "$conf/done"
}

start_etcd() {
  start etcd etcd --data-dir "$top/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
}

start_apiserver() {
  start apiserver "$(built kube-apiserver)" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=0.0.0.0 \
    --advertise-address="$node_ip" --service-cluster-ip-range="$service_network" --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$conf/ca.crt" --tls-cert-file="$conf/apiserver.crt" --tls-private-key-file="$conf/apiserver.key" \
    --kubelet-client-certificate="$conf/admin.crt" --kubelet-client-key="$conf/admin.key" \
    --kubelet-preferred-address-types=InternalIP \
    --service-account-key-file="$conf/accounts.pub" --service-account-signing-key-file="$conf/accounts.key" \
    --service-account-issuer=https://kubernetes.default.svc
}

# Both end when the API server does, because they lose their lease.
start_controllers() {
  start controller-manager "$(built kube-controller-manager)" --kubeconfig="$conf/controller-manager.kubeconfig" \
    --service-account-private-key-file="$conf/accounts.key" --root-ca-file="$conf/ca.crt" \
    --use-service-account-credentials=true --cluster-signing-cert-file="$conf/ca.crt" \
    --cluster-signing-key-file="$conf/ca.key" --bind-address=127.0.0.1 --port=0
  start scheduler "$(built kube-scheduler)" --kubeconfig="$conf/scheduler.kubeconfig" --bind-address=127.0.0.1 --port=0
}

start_control() {
  start_etcd
  start_apiserver
  wait_for "the API server" 60 kubectl get --raw /readyz
  start_controllers
}
