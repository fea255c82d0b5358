#!/usr/bin/env bash
# test-installed.sh BUILD PLUGINS: installs the meson build BUILD below an empty
# directory, and asks GStreamer and pkg-config what they see of it there.
set -euo pipefail

build=$1 plugins=$2
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
DESTDIR=$stage meson install -C "$build" --no-rebuild --quiet

# No other copy of the plugin, and no cached knowledge of one, may answer.
export GST_PLUGIN_PATH=$stage$plugins GST_REGISTRY=$stage/registry XDG_DATA_HOME=$stage
unset GST_PLUGIN_PATH_1_0 GST_REGISTRY_1_0
file=$(gst-inspect-1.0 sigmund | awk '$1 == "Filename" { print $2 }')
[[ $file == "$stage$plugins/libgstsigmund.so" ]] || { echo "found: $file" >&2; exit 1; }
[[ $(gst-inspect-1.0 rtcsink) == *WebRTC* ]]
PKG_CONFIG_PATH=$stage$plugins/pkgconfig pkg-config --exists 'gstsigmund >= 0.1'
