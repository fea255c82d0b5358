#!/bin/sh
# A call: a test picture and a tone for the browser that opens the printed address, its camera and microphone here.
gst-launch-1.0 rtcpeer name=call \
  videotestsrc is-live=true ! call. \
  audiotestsrc is-live=true volume=0.1 ! call. \
  call. ! videoconvert ! autovideosink \
  call. ! audioconvert ! audioresample ! autoaudiosink
