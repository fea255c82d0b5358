#!/usr/bin/env bash
# Runs a program, as Cargo's runner, on a newer Debian with its GStreamer: made
# once, in a folder of the build directory. Needs root, and debootstrap.
#
#   SIGMUND_NEWER=FOLDER [SUITE=trixie] newer.sh PROGRAM ARGUMENT…
set -euo pipefail

suite=${SUITE:-trixie}
root=$SIGMUND_NEWER/$suite
here=$(cd "$(dirname "$0")/.." && pwd)
packages=(
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice
  nftables iproute2 tcpdump util-linux procps
)

if [[ ! -e $root/ready ]]; then
  ((EUID == 0)) || { echo 'Making a Debian needs root.' >&2; exit 1; }
  if ! command -v debootstrap >/dev/null; then
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y debootstrap >/dev/null
  fi
  echo "Making a Debian $suite in $root, once; this takes a few minutes."
  rm -rf "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" >"$root.log"
  cp /etc/resolv.conf "$root/etc/"
  chroot "$root" sh -c "apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends ${packages[*]}" >>"$root.log"
  touch "$root/ready"
fi

# Mounts of a namespace of its own go with it.
exec unshare --mount -- bash -euc '
  root=$1 here=$2 work=$3
  shift 3
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  for folder in /sys /dev /run; do mount --rbind "$folder" "$root$folder"; done
  for folder in "$here" "$work"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
  done
  chroot "$root" gst-inspect-1.0 --version | head -n 1
  exec chroot "$root" env --chdir="$here/tests" HOME=/root \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
' newer "$root" "$here" "$(dirname "$SIGMUND_NEWER")" "$@"
