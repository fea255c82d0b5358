#!/usr/bin/env python3
"""Switches off each way around a pitfall, and expects its test to fail.

pitfalls.py TARGET [NAME…]: the rows of tests/pitfalls.toml whose name contains
one of the NAMEs, or all. Works in a copy of the tree below TARGET.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def copy_tree(to):
    """The files that git knows; those that are the same keep their times."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = ROOT / name, to / name
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
        os.utime(copy)


def run(tree, target, tier, test):
    """Whether the test passes; None where it cannot be built or does not exist."""
    environment = os.environ | {
        "CI": "true",
        "CARGO_TARGET_DIR": str(target / "build"),
        "SIGMUND_MEDIA": str(target.parent / "media"),
        "SIGMUND_TOOLS": str(target.parent / "tools" / "bin"),
    }
    command = ["cargo", "test", "--quiet", "--package", "sigmund-tests", "--test", tier, "--"]
    built = subprocess.run(command + ["--list"], cwd=tree, env=environment, capture_output=True, text=True)
    if built.returncode != 0 or f"{test}: test" not in built.stdout:
        print(built.stderr[-3000:])
        return None
    return subprocess.run(command + ["--exact", test], cwd=tree, env=environment, capture_output=True).returncode == 0


def switched_off(tree, target, row):
    """What came of it: a word, and whether that is what is expected."""
    path = tree / row["file"]
    text = path.read_text()
    if text.count(row["with"]) != 1:
        return "is not there once", False
    path.write_text(text.replace(row["with"], row["without"]))
    try:
        passed = run(tree, target, *row["test"])
    finally:
        path.write_text(text)
    if passed is None:
        return "does not build", False
    return ("is not noticed", False) if passed else ("is noticed", True)


def main():
    target = pathlib.Path(sys.argv[1]) / "pitfalls"
    names = sys.argv[2:]
    rows = tomllib.loads((ROOT / "tests" / "pitfalls.toml").read_text())["pitfall"]
    rows = [row for row in rows if not names or any(name in row["name"] for name in names)]
    tree = target / "tree"
    copy_tree(tree)
    missed = []
    for tier, test in sorted({tuple(row["test"]) for row in rows}):
        if not run(tree, target, tier, test):
            sys.exit(f"{test} fails with everything in place")
    for number, row in enumerate(rows, 1):
        began = time.monotonic()
        word, expected = switched_off(tree, target, row)
        print(f"{number:2}/{len(rows)} {row['name']}: {word} ({time.monotonic() - began:.0f} s)", flush=True)
        if not expected:
            missed.append(row["name"])
    if missed:
        sys.exit(f"{len(missed)} of {len(rows)} not noticed: {'; '.join(missed)}")


main()
