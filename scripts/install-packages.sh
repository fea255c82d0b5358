#!/usr/bin/env bash
# Names the Debian packages that are missing for `run` or `test`, and installs
# them: asks first when a terminal is attached.
set -euo pipefail

need=(
  pkg-config gcc libc6-dev ca-certificates
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice
)
if [[ ${1:-run} == test ]]; then
  need+=(
    chromium chromium-driver firefox-esr
    nftables iproute2 conntrack tcpdump dnsmasq-base coturn janus nats-server
    python3-gi gir1.2-gst-plugins-bad-1.0
    libssl-dev meson ninja-build python3-pip unzip curl
  )
fi

if ! command -v cargo >/dev/null; then
  echo 'Rust is missing. Install it as https://rustup.rs says, then try again.' >&2
  exit 1
fi

if ! command -v apt-get >/dev/null; then
  modules=(gstreamer-1.0 gstreamer-webrtc-1.0 gstreamer-app-1.0 gstreamer-rtp-1.0)
  if command -v pkg-config >/dev/null && pkg-config --exists "${modules[@]}"; then
    exit 0
  fi
  echo 'This is not Debian, so nothing is installed for you. Needed are the counterparts of:' >&2
  printf '  %s\n' "${need[@]}" >&2
  exit 1
fi

missing=()
for package in "${need[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

echo "Missing: ${missing[*]}"
if [[ -t 0 ]]; then
  read -rp 'Install these packages now? [Y/n] ' answer
  [[ ${answer,,} =~ ^(y|yes|)$ ]] || exit 1
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo 'Neither root nor sudo: install them yourself.' >&2; exit 1; }
  as_root=(sudo)
fi

# Some of them are servers. The tests start their own; none shall run
# by itself on the machine of somebody who only wanted to run tests.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 "$@"; }
apt update
# Without somebody who watches, only what goes wrong is worth a line.
[[ -t 1 ]] && log=/dev/stdout || log=/dev/null
apt install -y --no-install-recommends "${missing[@]}" >"$log"
for server in coturn janus nats-server; do
  if [[ " ${missing[*]} " == *" $server "* && -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --quiet "$server"
  fi
done
