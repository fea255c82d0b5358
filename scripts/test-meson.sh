#!/usr/bin/env bash
# Builds with meson into the given directory and lets it test what it installs.
set -euo pipefail

directory=$1
# Cargo need not build again what lies there already.
export CARGO_TARGET_DIR=${directory%/*}
if [[ -d $directory ]]; then
  meson setup --reconfigure "$directory" >/dev/null
else
  meson setup "$directory" -Dprofile=dev
fi
meson test -C "$directory" --print-errorlogs
