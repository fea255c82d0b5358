#!/usr/bin/env bash
# meson-cargo.sh CARGO SOURCE TARGET PROFILE OUTPUT: builds the plugin to OUTPUT.
set -euo pipefail

cargo=$1 source=$2 target=${CARGO_TARGET_DIR:-$3} profile=$4 output=$5
"$cargo" build --manifest-path "$source/Cargo.toml" --target-dir "$target" \
  --package gst-plugin-sigmund --profile "$profile"
[[ $profile == dev ]] && profile=debug
cp "$target/$profile/libgstsigmund.so" "$output"
