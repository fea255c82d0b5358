#!/bin/sh
# Any file that GStreamer can decode: file.sh FILE. It is encoded again, for each viewer's browser.
gst-launch-1.0 rtcsink name=live \
  uridecodebin uri="file://$(realpath "$1")" name=file \
  file. ! videoconvert ! queue ! live. \
  file. ! audioconvert ! audioresample ! queue ! live.
