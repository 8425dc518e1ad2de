# SPDX-License-Identifier: BSD-3-Clause
"""Some faults on each engine. scripts/soak --faults makes them for as long as one likes, with other seeds."""
import os
import pathlib
import re
import subprocess

import pytest


def no_findings(name, *options):
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and BPF")
    done = subprocess.run(
        ["/usr/bin/python3", pathlib.Path(__file__).parent, "--name", f"faults{name}", *options], capture_output=True,
        text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.endswith("\n0 findings\n")
    return done.stdout


@pytest.mark.parametrize("engine", ["xdp", "dpdk"])
def test_no_fault_breaks_or_moves_a_client_without_a_reason(engine):
    no_findings(engine, "--engine", engine, "--seed", "1", "--seconds", "60")


def test_no_fault_of_a_node_or_of_the_store_breaks_or_moves_a_client_without_a_reason():
    """The seed is one with which the store is killed after a link and an engine have failed. With synthetic clients beside the real ones."""
    said = no_findings("nodes", "--engine", "xdp,dpdk,xdp", "--nodes", "3", "--store", "--seed", "12712", "--count", "5",
                       "--flows", "1000000", "--rate", "300")
    assert "s: store_killed\n" in said and "s: node_link\n" in said
    assert int(re.search(r"(\d+) of these flows were generated", said)[1]) > 300


def test_a_store_that_fails_over_and_loses_what_was_told_moves_no_client():
    no_findings("store", "--engine", "xdp,dpdk,xdp", "--nodes", "3", "--store", "sentinel", "--seed", "1", "--only",
                "store_loses_writes", "--count", "1")
