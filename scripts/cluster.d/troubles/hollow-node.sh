# A node without real containers stops, with ten pods on it.
make() {
  deployment shop cache 10 "$sleeps" 'pod.nodeSelector: {kubernetes.io/hostname: node-2}' \
    'pod.tolerations: [{key: hollow, operator: Exists}]'
  kubectl -n shop rollout status deployment cache --timeout=60s >/dev/null
  stop hollow-node
}
mend() { start_hollow_node; }
