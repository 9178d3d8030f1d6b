# Pods that do not answer any more, and are restarted for it again and again.
make() { in_each shop checkout rm /www/live; }
mend() { kubectl -n shop rollout restart deployment checkout >/dev/null; }
