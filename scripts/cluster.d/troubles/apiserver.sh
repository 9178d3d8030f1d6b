# The control plane is restarted, and an image is missing as soon as it answers.
make() {
  local program
  # The scheduler and the controller manager end without the API server, so they are stopped with it.
  for program in scheduler controller-manager apiserver; do stop "$program"; done
  start_control
  image=$registry/pay/payout:v2 deployment pay payout 1 "$sleeps"
}
mend() { deployment pay payout 1 "$sleeps"; }
