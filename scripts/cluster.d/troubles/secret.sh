# A Secret that is mounted and does not exist.
make() {
  deployment pay vault 1 "$sleeps" 'volumeMounts: [{name: key, mountPath: /key}]' \
    'pod.volumes: [{name: key, secret: {secretName: vault-key}}]'
}
mend() { kubectl -n pay create secret generic vault-key --from-literal=key=x >/dev/null; }
