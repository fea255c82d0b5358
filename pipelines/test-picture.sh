#!/bin/sh
# A test picture, for every browser on this machine.
gst-launch-1.0 videotestsrc is-live=true ! rtcsink
