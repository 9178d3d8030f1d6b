# A command that is not in the image.
make() {
  deployment pay invoice 1 "$sleeps"
  kubectl -n pay patch deployment invoice --type json \
    -p '[{"op": "replace", "path": "/spec/template/spec/containers/0/command", "value": ["/usr/bin/invoiced"]}]' >/dev/null
}
mend() { deployment pay invoice 1 "$sleeps"; }
