# Images, made here because no registry is reachable: pause, and a busybox that plays every workload.

storage=(--root "$top/storage" --runroot "$top/storage-run")
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-overlay}

# pack FOLDER NAME [CONFIGURATION...]: an image of one layer as a file, for containerd.
pack() {
  local folder=$1 name=$2 container
  shift 2
  container=$(buildah "${storage[@]}" from scratch)
  buildah "${storage[@]}" copy -q "$container" "$folder" / >/dev/null
  buildah "${storage[@]}" config "$@" "$container"
  buildah "${storage[@]}" commit -q --rm "$container" "docker-archive:$top/images/${name//[:\/]/_}.tar:$name" >/dev/null
}

make_images() {
  local folder=$top/images/root
  [[ -e $top/images/done ]] && return
  rm -f "$top"/images/*.tar
  mkdir -p "$folder/pause" "$folder/web"/{bin,etc,tmp,root}
  printf '#include <signal.h>\n#include <unistd.h>\nstatic void end(int s){_exit(s&0);}\nint main(void){signal(SIGTERM,end);signal(SIGINT,end);for(;;)pause();}\n' |
    gcc -static -Os -x c -o "$folder/pause/pause" -
  pack "$folder/pause" "$registry/pause:3" --entrypoint '["/pause"]'
  cp /bin/busybox "$folder/web/bin/busybox"
  chroot "$folder/web" /bin/busybox --install /bin
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$folder/web/etc/passwd"
  pack "$folder/web" "$registry/shop/web:v1" --env PATH=/bin --cmd /bin/sh
  rm -rf "$folder"
  touch "$top/images/done"
}

# Again after a full disk: the kubelet throws images away that nothing uses.
import_images() {
  local image
  for image in "$top"/images/*.tar; do ctr images import "$image" >/dev/null; done
}

# import_archive FILE: its images, under their own names and under those of the registry of the documentation's commands.
import_archive() {
  local image
  ctr images import "$1" | while read -r _ image _; do
    ctr images tag --force "$image" "$registry/${image##*/}" >/dev/null
  done
}
