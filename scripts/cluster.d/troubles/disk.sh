# The node's disk is nearly full.
make() { fallocate -l "$(($(df -B1 --output=avail "$disk" | tail -1) - 300 * 1024 * 1024))" "$disk/filler"; }
mend() {
  rm -f "$disk/filler"
  import_images
}
