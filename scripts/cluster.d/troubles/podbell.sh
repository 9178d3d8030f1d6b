# podbell is killed, and an image is missing before it is back.
make() {
  kill_containers podbell
  image=$registry/pay/refund:v2 deployment pay refund 1 "$sleeps"
}
mend() { deployment pay refund 1 "$sleeps"; }
