# SPDX-License-Identifier: BSD-3-Clause
"""Some faults on each engine. scripts/soak --faults makes them for as long as one likes, with other seeds."""
import os
import pathlib
import subprocess

import pytest


@pytest.mark.parametrize("engine", ["xdp", "dpdk"])
def test_no_fault_breaks_or_moves_a_client_without_a_reason(engine):
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and BPF")
    done = subprocess.run(
        ["/usr/bin/python3", pathlib.Path(__file__).parent, "--engine", engine, "--seed", "1", "--seconds", "60",
         "--name", f"faults{engine}"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.endswith("\n0 findings\n")
