#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Runs a fuzzer for a bounded number of runs, with seeds: the golden packets, or the files of a folder.

run.py SEEDS_PROGRAM KIND FUZZER [FUZZER ARGUMENT...]
run.py --corpus FOLDER FUZZER [FUZZER ARGUMENT...]

KIND is the folder of seeds that SEEDS_PROGRAM writes. An input that fails is written to the current folder and named.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile


def main():
    seeds, kind, fuzzer, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="berth-fuzz-") as folder:
        corpus = pathlib.Path(folder) / "corpus"
        if seeds == "--corpus":
            shutil.copytree(kind, corpus)
        else:
            subprocess.run([seeds, folder], check=True)
            corpus = pathlib.Path(folder) / kind
        given = len(list(corpus.iterdir()))
        command = [fuzzer, "-seed=1", "-max_len=4096", "-timeout=10", "-verbosity=0", "-print_final_stats=1",
                   "-close_fd_mask=3", *arguments, corpus]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if result.returncode:
            print(result.stderr)
            return 1
        runs = result.stderr.split("stat::number_of_executed_units:")[1].split()[0]
        found = len(list(corpus.iterdir())) - given
        print(f"{pathlib.Path(fuzzer).name}: {runs} runs, {given} seeds, {found} more found, nothing failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
