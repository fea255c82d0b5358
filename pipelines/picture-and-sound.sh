#!/bin/sh
# A test picture in HD with sound; the two are in sync at the viewer.
gst-launch-1.0 rtcsink name=live \
  videotestsrc is-live=true ! video/x-raw,width=1280,height=720,framerate=30/1 ! live. \
  audiotestsrc is-live=true wave=ticks ! live.
