#!/bin/sh
# Bounds for the video's bitrate, in bit/s; the network decides in between.
gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,width=1280,height=720,framerate=30/1 \
  ! rtcsink min-bitrate=300000 start-bitrate=1000000 max-bitrate=2000000
