# A ConfigMap that does not exist.
make() { deployment pay ledger 1 "$sleeps" 'envFrom: [{configMapRef: {name: ledger}}]'; }
mend() { kubectl -n pay create configmap ledger --from-literal=A=b >/dev/null; }
