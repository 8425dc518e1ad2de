# SPDX-License-Identifier: BSD-3-Clause
"""
Debian 12's own kernel (6.1) takes berth's BPF programs, and its XDP program means what the core says: both are tried
in a virtual machine (QEMU, emulated) that boots that kernel with little more than the programs in its memory.
"""
import re
import shutil

import pytest

from vm import BUILD, make_root, run

OBJECTS = ["berth_xdp", "berth_capture", "berth_trace", "berth_decap", "berth_inject"]
PACKETS = 100000

SCRIPT = """
echo "kernel $(busybox uname -r)"
for object in %s; do
	bpftool prog load /usr/local/lib/berth/$object.bpf.o /sys/fs/bpf/$object 2>&1 | busybox tail -n 3
	[ -e /sys/fs/bpf/$object ] && echo "loaded $object"
done
fuzz_in_kernel /usr/local/lib/berth/berth_xdp.bpf.o --packets %d
"""


NOHZ_SCRIPT = """
echo "nohz_full on $(busybox cat /sys/devices/system/cpu/nohz_full)"
echo "possible $(busybox cat /sys/devices/system/cpu/possible)"
busybox ip link set lo up
berthd -c /berth.yaml -r /run 2>&1 & daemon=$!
# An emulated machine on a busy host needs up to a minute for its start.
until [ -e /run/berth.sock ] || ! kill -0 $daemon; do busybox sleep 0.5; done
echo "answer $(berthctl --json -s /run/berth.sock backend drain web/b1)"
berthctl -s /run/berth.sock shutdown || kill -KILL $daemon
wait $daemon
"""

CONFIG = """
engine: xdp
interfaces: [{name: lo, xdp: generic}]
limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}
services:
  - name: web
    address: 203.0.113.10
    protocol: tcp
    port: 80
    mode: ipip
    table-size: 251
    health: {type: none}
    backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]
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


def test_a_change_comes_into_force_on_a_kernel_with_nohz_full_and_many_possible_cpus(tmp_path):
    """membarrier(2) fails with nohz_full. Each possible CPU is a worker."""
    root = make_root(tmp_path / "vm", [BUILD / "controlplane" / name for name in ("berthd", "berth-helper", "berthctl")],
                     ["berth_xdp", "berth_trace"])
    (root / "berth.yaml").write_text(CONFIG)
    console = run(root, NOHZ_SCRIPT, seconds=240, kernel_options="nohz_full=1 possible_cpus=300", options=["-smp", "2"])
    assert "nohz_full on 1" in console and "possible 0-299" in console, console
    answer = re.search(r"answer \{(.*?)\n\}", console, re.DOTALL)
    assert answer and re.search(r'"in_force": ?true', answer.group(1)), console
    assert "not in force after" not in console, console  # the alarm of a late change


def test_host_core_and_xdp_program_agree_there(console):
    assert re.search(rf"\b{PACKETS} packets, 2 engines, 0 differences", console), console
