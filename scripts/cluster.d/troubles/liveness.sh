# Pods that are restarted because they do not answer.
make() {
  deployment shop checkout 2 'mkdir -p /www; touch /www/live; (sleep 15; rm /www/live) & exec httpd -f -p 8080 -h /www' "$live"
}
mend() { deployment shop checkout 2 "$serve" "$live"; }
