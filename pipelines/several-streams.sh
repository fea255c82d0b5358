#!/bin/sh
# Two streams behind one address; the page lists both.
gst-launch-1.0 \
  videotestsrc is-live=true pattern=ball ! rtcsink uri=listen://127.0.0.1:8080/ball \
  videotestsrc is-live=true pattern=snow ! rtcsink uri=listen://127.0.0.1:8080/snow
