# An autoscaler in a cluster without metrics.
make() { kubectl -n shop autoscale deployment offers --min=2 --max=5 --cpu-percent=50 >/dev/null; }
mend() { kubectl -n shop delete hpa offers >/dev/null; }
