#!/usr/bin/env bash
# `make run`: a picture and sound for every browser that opens the address.
# CLIP=file plays a file over and over, CAMERA=/dev/video0 a camera.
set -euo pipefail

sink=(rtcsink name=live)
picture=(videoconvert ! queue ! live.)
sound=(audioconvert ! audioresample ! queue ! live.)

# has FILE video|audio: is there such a stream that can be decoded?
has() {
  timeout 20 gst-launch-1.0 --quiet uridecodebin uri="file://$1" \
    ! "${2}convert" ! fakesink num-buffers=1 >/dev/null 2>&1
}

if [[ -n ${CLIP:-} ]]; then
  [[ -f $CLIP ]] || { echo "There is no file $CLIP." >&2; exit 1; }
  # gst-launch cannot loop a file; splitmuxsrc plays a row of files as one, so
  # it gets a row of links to the same one: a day of a clip of two minutes.
  row=$(mktemp -d)
  trap 'rm -rf "$row"' EXIT
  clip=$(realpath "$CLIP")
  for number in {1000..1719}; do
    ln -s "$clip" "$row/$number.${CLIP##*.}"
  done
  branches=()
  has "$clip" video && branches+=(file. ! "${picture[@]}")
  has "$clip" audio && branches+=(file. ! "${sound[@]}")
  ((${#branches[@]})) || { echo "GStreamer cannot decode $CLIP." >&2; exit 1; }
  echo "Playing $CLIP. Stop with Ctrl+C."
  gst-launch-1.0 "${sink[@]}" uridecodebin uri="splitmux://$row/*" name=file "${branches[@]}"
elif [[ -n ${CAMERA:-} ]]; then
  [[ -e $CAMERA ]] || { echo "There is no camera $CAMERA." >&2; exit 1; }
  echo "Showing $CAMERA. Stop with Ctrl+C."
  gst-launch-1.0 "${sink[@]}" v4l2src device="$CAMERA" ! decodebin ! "${picture[@]}"
else
  echo 'Showing a test picture. Stop with Ctrl+C.'
  gst-launch-1.0 "${sink[@]}" \
    videotestsrc is-live=true horizontal-speed=2 ! video/x-raw,width=1280,height=720,framerate=30/1 ! "${picture[@]}" \
    audiotestsrc is-live=true wave=ticks ! "${sound[@]}"
fi
