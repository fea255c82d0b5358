#!/bin/sh
# The other way round: a browser sends its camera and microphone here. Open the printed address in it.
gst-launch-1.0 rtcsrc name=studio \
  studio. ! videoconvert ! autovideosink \
  studio. ! audioconvert ! audioresample ! autoaudiosink
