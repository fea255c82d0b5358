# `make` lists what there is to do. The two that matter: `make run`, `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# dev builds quickly; release is what you install and measure.
PROFILE ?= dev
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
OUT := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# A folder of its own: GStreamer scans all that lies beside a plugin.
PLUGINS := $(OUT)/gstreamer-1.0
PLUGIN := $(PLUGINS)/libgstsigmund.so
TIER = printf '\n== %s\n' "$@"; cargo test --package

.PHONY: help run build test install check unit lab network matrix serve schemes element browser bench throughput load transfer fuzz pitfalls newer docs clean
.PHONY: packages test-packages test-tools meson

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' \
	  | while IFS=$$'\t' read -r verb text; do printf '  make %-9s %s\n' "$$verb" "$$text"; done

run: build ## show a test picture with sound (or CLIP=file.mp4, CAMERA=/dev/video0) to every browser
	@GST_PLUGIN_PATH="$(PLUGINS)$${GST_PLUGIN_PATH:+:$$GST_PLUGIN_PATH}" \
	  CLIP='$(CLIP)' CAMERA='$(CAMERA)' TARGET='$(TARGET)' scripts/run.sh

test: test-packages test-tools check unit lab network serve schemes element meson browser ## install what the tests need and run them all, browsers included
	@printf '\nAll tiers passed.\n'

build: packages ## build the plugin (PROFILE=release for the optimised one)
	@cargo build --package gst-plugin-sigmund --profile $(PROFILE)
	@install -D -m 755 "$(OUT)/libgstsigmund.so" "$(PLUGIN)"

install: ## install the plugin for this user (or PREFIX=/usr, DESTDIR=…)
	@$(MAKE) build PROFILE=release
	@scripts/install-plugin.sh "$(TARGET)/release/libgstsigmund.so" '$(PREFIX)' '$(DESTDIR)'

check: test-packages ## formatting, lints, and the rules of the house
	@printf '\n== %s\n' $@; cargo fmt --all --check
	@cargo clippy --quiet --package sigmund --no-default-features --all-targets -- -D warnings
	@cargo clippy --quiet --workspace --features sigmund/serve --all-targets -- -D warnings
	@$(TIER) sigmund-tests --test rules

unit: packages ## tests of single modules: first what decides, without any network code
	@$(TIER) sigmund --no-default-features
	@$(TIER) sigmund --features serve --lib --bins
	@$(TIER) gst-plugin-sigmund

lab: test-packages test-tools ## tests of the test bench itself; SCENARIO=symmetric,only-443: such networks, to look at
	@if [[ -n '$(SCENARIO)' ]]; then \
	  cargo build --quiet --package sigmund-tests --package gst-plugin-sigmund && \
	  exec "$(OUT)/sigmund-lab" '$(SCENARIO)'; \
	else $(TIER) sigmund-tests --lib --test lab; fi

network: test-packages test-tools ## paths through NATs and firewalls, STUN and TURN
	@$(TIER) sigmund-tests --test network

matrix: test-packages test-tools ## who reaches whom: 7 kinds of networks against 7, and others beside; draws docs/networks.svg
	@SIGMUND_PICTURE="$(CURDIR)/docs/networks.svg" cargo test --package sigmund-tests --test network -- \
	  --include-ignored --exact --nocapture --test-threads=1 matrix::all_cells matrix::all_cells_of_our_own \
	  matrix::all_cells_with_firefox cells::with_rtcsrc cells::with_chromium cells::with_firefox \
	  calls::through_the_worst_and_the_usual calls::through_all_sorts

serve: test-packages ## the standalone server: its binary, its files, its signals, and coturn
	@$(TIER) sigmund --features serve --test serve

schemes: test-packages test-tools ## signalling schemes against the servers that they are for
	@$(TIER) sigmund-tests --test schemes

element: test-packages test-tools ## the elements, with viewers that are not browsers
	@$(TIER) sigmund-tests --test element

browser: test-packages test-tools ## the page and the streams in Chromium and Firefox
	@$(TIER) sigmund-tests --test browser

meson: test-packages
	@printf '\n== %s\n' $@; scripts/test-meson.sh "$(TARGET)/meson"

bench: test-packages test-tools ## CPU for each viewer and time to the first frame, beside another plugin
	@$(MAKE) build PROFILE=release
	@cargo build --release --manifest-path tests/bench/Cargo.toml --target-dir "$(TARGET)/bench"
	@SIGMUND_PLUGIN_DIR="$(TARGET)/release/gstreamer-1.0" SIGMUND_MEDIA="$(TARGET)/media" \
	  SIGMUND_TOOLS="$(TARGET)/tools/bin" "$(TARGET)/bench/release/sigmund-bench"
	@$(MAKE) throughput

throughput: test-packages test-tools ## what a data pad gets across, beside two bare webrtcbins
	@$(MAKE) build PROFILE=release
	@SIGMUND_PLUGIN_DIR="$(TARGET)/release/gstreamer-1.0" \
	  cargo test --package sigmund-tests --test element -- throughput:: --ignored --nocapture

load: ## the standalone server with 5,000 idle viewers, one of them stalled, and 200 joins a second
	@cargo test --release --package sigmund --features serve --test serve -- --ignored --nocapture load

transfer: test-packages test-tools ## a file of MB=200 megabytes from pad to pad, through 2 % loss, and to a reader that sleeps
	@SIGMUND_TRANSFER_MB='$(or $(MB),200)' cargo test --package sigmund-tests --test element -- transfer:: --nocapture --test-threads 1

fuzz: ## 100,000 changed messages for each parser, then its fuzz target for EACH=20 seconds (or NAME=parser)
	@scripts/fuzz.sh "$(TARGET)" '$(or $(EACH),20)' '$(NAME)'

pitfalls: test-packages test-tools ## switch each way around a bug off, and see its test fail (or NAME='part of its name')
	@scripts/pitfalls.py "$(TARGET)" $(if $(NAME),'$(NAME)')

newer: test-packages ## the elements on a newer GStreamer (that of Debian 13, which it installs in a folder)
	@printf '\n== %s\n' $@; SIGMUND_NEWER="$(TARGET)/newer" \
	  CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$(CURDIR)/scripts/newer.sh" \
	  cargo test --package sigmund-tests --test element -- --skip peers:: $(NAME)

docs: packages ## the documentation of the source, for a browser
	@cargo doc --workspace --no-deps --document-private-items
	@echo "Open $(TARGET)/doc/sigmund/index.html"

clean: ## remove everything that was built or fetched
	@cargo clean

packages:
	@scripts/install-packages.sh run

test-packages:
	@scripts/install-packages.sh test

test-tools:
	@scripts/fetch-test-tools.sh "$(TARGET)"
