#!/bin/sh
# The H.264 in a file as it is, nothing encoded: passthrough-h264.sh FILE.mp4. It must have no B-frames.
gst-launch-1.0 urisourcebin uri="file://$(realpath "$1")" ! parsebin ! video/x-h264 ! rtcsink
