# A rollout whose new pods never get ready.
make() { deployment shop web 3 "$sleeps" "$ready" 'spec.progressDeadlineSeconds: 60'; }
mend() { kubectl -n shop rollout undo deployment web >/dev/null; }
