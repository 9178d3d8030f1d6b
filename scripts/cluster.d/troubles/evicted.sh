# A pod that fills more of the disk than it may.
make() {
  deployment data scratch 1 'dd if=/dev/zero of=/tmp/big bs=1M count=60; exec sleep 100000' \
    'resources: {limits: {ephemeral-storage: 20Mi}, requests: {cpu: 1m}}'
}
mend() { kubectl -n data delete deployment scratch >/dev/null; }
