#!/usr/bin/env bash
# Puts the plugin where GStreamer finds it: install-plugin.sh PLUGIN PREFIX DESTDIR
# Without a prefix: for this user only, where GStreamer looks by itself.
set -euo pipefail

plugin=$1 prefix=$2 destdir=$3
if [[ -z $prefix ]]; then
  directory=${XDG_DATA_HOME:-$HOME/.local/share}/gstreamer-1.0/plugins
else
  directory=$(pkg-config --define-variable=prefix="$prefix" --variable=pluginsdir gstreamer-1.0)
fi
install -D -m 755 "$plugin" "$destdir$directory/${plugin##*/}"
echo "Installed $destdir$directory/${plugin##*/}"
if [[ -n $destdir ]]; then
  exit 0
fi
if gst-inspect-1.0 --exists rtcsink; then
  echo 'Try: gst-launch-1.0 videotestsrc is-live=true ! rtcsink'
else
  echo "GStreamer does not look there by itself: export GST_PLUGIN_PATH=$directory"
fi
