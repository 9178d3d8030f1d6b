# podbell is killed, and an image is missing at the same moment.
make() {
  kill_containers podbell
  image=$registry/pay/refund:v2 deployment pay refund 1 "$sleeps"
}
mend() { deployment pay refund 1 "$sleeps"; }
