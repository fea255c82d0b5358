#!/bin/sh
# Viewers behind other networks: stun-turn.sh 'stun://HOST,turn://USER:PASSWORD@HOST?transport=udp'.
gst-launch-1.0 videotestsrc is-live=true ! rtcsink ice-servers="$1"
