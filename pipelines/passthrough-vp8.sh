#!/bin/sh
# The VP8 in a file as it is, nothing encoded: passthrough-vp8.sh FILE.webm.
gst-launch-1.0 urisourcebin uri="file://$(realpath "$1")" ! parsebin ! video/x-vp8 ! rtcsink
