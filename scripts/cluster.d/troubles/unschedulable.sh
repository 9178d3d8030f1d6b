# A pod that no node has room for.
make() { deployment data train 1 "$sleeps" 'resources: {requests: {cpu: 64}}'; }
mend() { deployment data train 1 "$sleeps"; }
