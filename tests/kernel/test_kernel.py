# SPDX-License-Identifier: BSD-3-Clause
"""
Debian 12's own kernel (6.1) takes berth's BPF programs, and its XDP program means what the core says: both are tried
in a virtual machine (QEMU, emulated) that boots that kernel with little more than the programs in its memory.
"""
import re
import shutil

import pytest

from vm import BUILD, make_root, run

OBJECTS = ["berth_xdp", "berth_decap", "berth_inject"]
PACKETS = 100000

SCRIPT = """
echo "kernel $(busybox uname -r)"
for object in %s; do
	bpftool prog load /usr/local/lib/berth/$object.bpf.o /sys/fs/bpf/$object 2>&1 | busybox tail -n 3
	[ -e /sys/fs/bpf/$object ] && echo "loaded $object"
done
fuzz_in_kernel /usr/local/lib/berth/berth_xdp.bpf.o --packets %d
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """What the virtual machine said until it switched itself off."""
    programs = [shutil.which("bpftool"), BUILD / "tests/golden/fuzz_in_kernel"]
    root = make_root(tmp_path_factory.mktemp("vm"), programs, OBJECTS)
    return run(root, SCRIPT % (" ".join(OBJECTS), PACKETS), seconds=180)


def test_it_is_debians_own_kernel(console):
    assert re.search(r"kernel 6\.1\.", console), console


@pytest.mark.parametrize("name", OBJECTS)
def test_the_kernel_takes_the_program(console, name):
    assert f"loaded {name}" in console, console


def test_host_core_and_xdp_program_agree_there(console):
    assert re.search(rf"\b{PACKETS} packets, 2 engines, 0 differences", console), console
