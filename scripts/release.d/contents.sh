# Read by scripts/release: what is in each of its files. $version, $work and SOURCE_DATE_EPOCH are set.

# PODBELL_RELEASE_LEVEL: how hard it compresses, 1 to 9; tests are in a hurry.

# Packs a folder of $work so that the same files make the same bytes.
pack() {
  local folder=$1 to=$2
  tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$folder" |
    gzip "-${PODBELL_RELEASE_LEVEL:-9}" -n >"$to"
}

# texts PROGRAM FOLDER: what a program says of its own command line.
texts() {
  local program=$1 folder=$2
  mkdir -p "$folder/completions"
  "$program" man "$folder/man"
  "$program" completions bash >"$folder/completions/podbell.bash"
  "$program" completions zsh >"$folder/completions/_podbell"
  "$program" completions fish >"$folder/completions/podbell.fish"
}

# archive PROGRAM ARCH TO
archive() {
  local program=$1 name=podbell-$version-$2-linux to=$3
  local folder=$work/$name
  install -D -m 755 "$program" "$folder/podbell"
  install -m 644 LICENSE README.md CHANGELOG.md podbell.example.yaml rules.example.yaml rules.example.test.yaml \
    deploy/systemd/podbell.service "$work/files/$name.cdx.json" "$folder/"
  # Only what git has: in the folders may be more.
  git ls-files -z rules docs | xargs -0 cp --parents -t "$folder"
  cp -r "$work/texts/man" "$work/texts/completions" "$folder/"
  chmod -R u=rwX,go=rX "$folder"
  pack "$name" "$to/$name.tar.gz"
}

# The unit of deploy/systemd with the package's paths, account and file of secrets.
unit() {
  sed -e '/^#   \/usr\/local/d' -e '/^# Files that only root reads/,/^LoadCredential=kubeconfig/d' \
    -e 's|/usr/local/bin|/usr/bin|' \
    -e 's|^# An account that exists while.*|# Its store is /var/lib/podbell/podbell.db.|' \
    -e 's|^DynamicUser=yes|User=podbell\nGroup=podbell\n# Secrets that podbell.yaml names as ${NAME}.\nEnvironmentFile=-/etc/podbell/podbell.env|' \
    deploy/systemd/podbell.service
}

# debian_package PROGRAM ARCH TO
debian_package() {
  local program=$1 to=$3 root=$work/debian-$2 architecture doc file
  case $2 in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) fail "no name of Debian for $2" ;; esac
  doc=$root/usr/share/doc/podbell
  install -D -m 755 "$program" "$root/usr/bin/podbell"
  install -d -m 750 "$root/etc/podbell/secrets"
  install -m 644 deploy/debian/podbell.yaml "$root/etc/podbell/podbell.yaml"
  install -m 640 deploy/debian/podbell.env "$root/etc/podbell/podbell.env"
  install -d "$root/usr/lib/systemd/system" "$root/usr/share/man/man1" "$doc"
  unit >"$root/usr/lib/systemd/system/podbell.service"
  for file in "$work"/texts/man/*.1; do gzip -9nc "$file" >"$root/usr/share/man/man1/${file##*/}.gz"; done
  install -D -m 644 "$work/texts/completions/podbell.bash" "$root/usr/share/bash-completion/completions/podbell"
  install -D -m 644 "$work/texts/completions/_podbell" "$root/usr/share/zsh/vendor-completions/_podbell"
  install -D -m 644 "$work/texts/completions/podbell.fish" "$root/usr/share/fish/vendor_completions.d/podbell.fish"
  git ls-files -z rules | xargs -0 install -D -m 644 -t "$root/usr/share/podbell/rules"
  install -m 644 deploy/debian/copyright podbell.example.yaml rules.example.yaml "$doc/"
  install -m 644 "$work/files/podbell-$version-$2-linux.cdx.json" "$doc/podbell.cdx.json"
  gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
  chmod 644 "$root/usr/lib/systemd/system/podbell.service" "$root"/usr/share/man/man1/* "$doc"/*

  install -d -m 755 "$root/DEBIAN"
  install -m 644 deploy/debian/conffiles "$root/DEBIAN/"
  install -m 755 deploy/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
  sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@SIZE@/$(installed_size "$root")/" deploy/debian/control >"$root/DEBIAN/control"
  (cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -Zxz "-z${PODBELL_RELEASE_LEVEL:-9}" --build "$root" "$to/podbell_${version}_$architecture.deb" >/dev/null
}

# In KiB by the sizes of files, so that it does not depend on the file system.
installed_size() {
  find "$1" -path "$1/DEBIAN" -prune -o -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }'
}

# The layout that `helm package` makes, which leaves out what .helmignore names.
chart() {
  git archive HEAD deploy/helm/podbell | tar -C "$work" -xf -
  rm -f "$work/deploy/helm/podbell/.helmignore"
  mv "$work/deploy/helm/podbell" "$work/podbell"
  chmod -R u=rwX,go=rX "$work/podbell"
  pack podbell "$1/podbell-$version.tgz"
}
