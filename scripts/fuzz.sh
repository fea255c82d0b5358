#!/usr/bin/env bash
# Fuzzes each parser for some seconds, after 100,000 changed examples each.
# usage: fuzz.sh TARGET-DIRECTORY SECONDS [PARSER]
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 seconds=$2 only=${3:-}
tools=$target/tools corpus=$target/fuzz/corpus

PROPTEST_CASES=${CASES:-100000} cargo test --release --package sigmund --features fuzzing --lib fuzzing

# Its instrumentation is not in stable Rust yet; a nightly compiler needs no
# such word.
export RUSTC_BOOTSTRAP=1
[ -x "$tools/bin/cargo-fuzz" ] || cargo install --quiet --locked --root "$tools" cargo-fuzz
PATH=$tools/bin:$PATH

SIGMUND_CORPUS=$corpus cargo test --quiet --release --package sigmund --features fuzzing --lib \
  -- --ignored fuzzing::tests::examples_are_written_for_fuzzers >/dev/null
for parser in ${only:-$(cargo fuzz list)}; do
  printf '\n== %s\n' "$parser"
  mkdir -p "$corpus/$parser" "$target/fuzz/artifacts/$parser"
  cargo fuzz run --target-dir "$target/fuzz" "$parser" "$corpus/$parser" -- \
    -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$target/fuzz/artifacts/$parser/" 2>&1 | grep -E 'number_of_executed|ERROR|panicked|SUMMARY|^error' 
done
