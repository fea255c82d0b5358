#!/bin/sh
# Which codecs viewers may choose from, best first.
gst-launch-1.0 videotestsrc is-live=true ! rtcsink video-codecs=VP8
