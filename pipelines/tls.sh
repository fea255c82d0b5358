#!/bin/sh
# The page and the signalling over HTTPS: tls.sh CERTIFICATE.pem KEY.pem [TOKEN].
gst-launch-1.0 videotestsrc is-live=true ! rtcsink uri=listen://0.0.0.0:8443/live \
  tls-certificate="$1" tls-key="$2" token="${3:-change-me-please}"
