#!/bin/sh
# A camera: camera.sh [DEVICE].
gst-launch-1.0 v4l2src device="${1:-/dev/video0}" ! decodebin ! videoconvert ! rtcsink name=camera
