# Read by other scripts. Gets Kubernetes from Debian: packages by name, programs built once from the source package.
# What is built lies in $cache, outside of the repository. Messages go to stderr.
version=1.20.2
cache=${PODBELL_KUBE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/podbell}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

# Prints the comment at the beginning of the script: its help.
usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }

# Installs what is missing of these packages. Needs root only then. One installs at a time: apt does not wait for another.
install_packages() {
  local missing=() package apt
  mkdir -p "$cache"
  exec {apt}>"$cache/apt.lock"
  flock "$apt"
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then exec {apt}>&-; return; fi
  say "installing ${missing[*]}"
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >&2
  exec {apt}>&-
}

# Where the program of this name lies once it is built.
built() { printf '%s/%s-%s\n' "$cache" "$1" "$version"; }

# Holds the cache: one script builds, others wait for it.
hold_cache() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
}

# apt with the machine's own archives, read as archives of sources, and with lists of its own: /etc/apt stays as it is.
source_lists() {
  local to=$1 file
  mkdir -p "$to/lists/partial" "$to/sources.d"
  : >"$to/sources.list"
  for file in /etc/apt/sources.list.d/*.sources; do
    [[ -e $file ]] && grep -q 'debian-archive-keyring' "$file" && grep -q '^URIs:.*debian' "$file" &&
      sed 's/^Types:.*/Types: deb-src/' "$file" >"$to/sources.d/$(basename "$file")"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -e $file ]] && sed -nE 's#^deb (.*/debian(-security)? .*)#deb-src \1#p' "$file" >>"$to/sources.list"
  done
  if [[ ! -s $to/sources.list && -z $(ls -A "$to/sources.d") ]]; then
    echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' \
      >"$to/sources.list"
  fi
}

# Builds what is missing of these programs from Debian's source package, which has all of its dependencies in it. apt verifies
# the signatures. Some minutes for each on 2 processors, the first one more. Hold the cache before.
build_kubernetes() {
  local missing=() program work apt
  for program in "$@"; do
    [[ -x $(built "$program") ]] || missing+=("$program")
  done
  [[ ${#missing[@]} -eq 0 ]] && return
  install_packages dpkg-dev golang-1.19 rsync jq make
  work=$(mktemp -d "$cache/build.XXXXXX")
  # shellcheck disable=SC2064 # The folder as it is called now.
  trap "chmod -R u+w '$work'; rm -rf '$work'" EXIT
  # apt reads as a user of its own where it can.
  chmod 755 "$work"
  source_lists "$work/apt"
  apt=(apt-get -q -o "Dir::State::lists=$work/apt/lists" -o "Dir::Etc::sourcelist=$work/apt/sources.list"
    -o "Dir::Etc::sourceparts=$work/apt/sources.d" -o APT::Sandbox::User=root
    -o "Dir::Cache::srcpkgcache=" -o "Dir::Cache::pkgcache=")
  say "fetching the source package"
  "${apt[@]}" update >&2
  (cd "$work" && "${apt[@]}" source --download-only kubernetes >&2)
  (cd "$work" && dpkg-source --require-strong-checksums -x kubernetes_*.dsc source >&2)
  mkdir "$work/home"
  # One after the other: what is built stays, whatever happens to the next.
  for program in "${missing[@]}"; do
    say "building $program $version"
    (
      cd "$work/source"
      export HOME=$work/home GOCACHE=$work/home/gocache GOPATH=$work/home/go PATH=/usr/lib/go-1.19/bin:$PATH
      GOPROXY=off GOFLAGS=-mod=vendor CGO_ENABLED=0 nice make "WHAT=cmd/$program" "KUBE_GIT_VERSION=v$version" >&2
    )
    install -m 755 "$work/source/_output/local/bin/linux/$(dpkg --print-architecture)/$program" "$(built "$program").new"
    mv "$(built "$program").new" "$(built "$program")"
  done
}

# kubectl comes from Debian's package of the client, without installing it.
get_kubectl() {
  local unpacked
  [[ -x $(built kubectl) ]] && return
  unpacked=$(mktemp -d "$cache/kubectl.XXXXXX")
  (cd "$unpacked" && { apt-get -q -o APT::Sandbox::User=root download kubernetes-client || { apt-get update -q &&
    apt-get -q -o APT::Sandbox::User=root download kubernetes-client; }; } >&2 && dpkg -x kubernetes-client_*.deb .)
  mv "$unpacked/usr/bin/kubectl" "$(built kubectl)"
  rm -rf "$unpacked"
}
