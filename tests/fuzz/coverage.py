#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Measures branch coverage of the parser over the golden packets and the inputs that the fuzzer finds from them. Fails
below GOAL percent. Prints the branches that were never taken.

coverage.py SEEDS_PROGRAM FUZZER HEADER [LLVM TOOLS' SUFFIX]

FUZZER is fuzz_parse built with -fprofile-instr-generate -fcoverage-mapping.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

GOAL = 95.0
RUNS = 200000


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(fuzzer, folder, *arguments):
    """The fuzzer's profile after a run."""
    profile = folder / "profraw"
    result = subprocess.run([fuzzer, *arguments], check=False, stderr=subprocess.PIPE, text=True, errors="replace",
                            env=os.environ | {"LLVM_PROFILE_FILE": str(profile)})
    if result.returncode:
        sys.exit(result.stderr)
    return profile


def branches_of(fuzzer, profile, header, suffix):
    """(times taken, times not taken, line) of every branch in `header`, and llvm-cov's own summary."""
    merged = profile.with_suffix(".merged")
    output_of(f"llvm-profdata{suffix}", "merge", "-sparse", profile, "-o", merged)
    data = json.loads(output_of(f"llvm-cov{suffix}", "export", fuzzer, f"-instr-profile={merged}"))["data"][0]
    for file in data["files"]:
        if file["filename"].endswith(header):
            return {(b[4], b[5], b[0], b[1]) for b in file["branches"]}, file["summary"]["branches"]
    sys.exit(f"{header} is not in the coverage data")


def main():
    seeds, fuzzer, header = sys.argv[1:4]
    suffix = sys.argv[4] if len(sys.argv) > 4 else ""
    with tempfile.TemporaryDirectory(prefix="berth-coverage-") as folder:
        folder = pathlib.Path(folder)
        output_of(seeds, folder)
        corpus = folder / "parse"
        run(fuzzer, folder, f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-verbosity=0", corpus)
        profile = run(fuzzer, folder, "-runs=0", "-verbosity=0", corpus)
        branches, summary = branches_of(fuzzer, profile, header, suffix)
    for taken, not_taken, line, column in sorted(branches, key=lambda b: b[2:]):
        if not taken or not not_taken:
            print(f"{header}:{line}:{column}: never {'true' if not taken else 'false'}")
    print(f"{header}: {summary['covered']} of {summary['count']} branches, {summary['percent']:.1f}%")
    return summary["percent"] < GOAL


if __name__ == "__main__":
    sys.exit(main())
