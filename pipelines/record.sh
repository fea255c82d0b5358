#!/bin/sh
# What a browser sends goes into a file as it comes, nothing is decoded: record.sh FILE.mkv. Ctrl+C ends it.
gst-launch-1.0 -e matroskamux name=file ! filesink location="$1" \
  rtcsrc name=studio \
  studio.video_0 ! queue ! file.video_0 \
  studio.audio_0 ! queue ! file.audio_0
