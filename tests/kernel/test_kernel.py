# SPDX-License-Identifier: BSD-3-Clause
"""
Debian 12's own kernel (6.1) takes berth's BPF programs, and its XDP program means what the core says: both are tried
in a virtual machine (QEMU, emulated) that boots that kernel with little more than the programs in its memory.
"""
import glob
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
OBJECTS = ["berth_xdp", "berth_decap", "berth_inject"]
PACKETS = 100000

INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox mount -t bpf bpf /sys/fs/bpf
echo "kernel $(busybox uname -r)"
for object in %s; do
	bpftool prog load /$object.bpf.o /sys/fs/bpf/$object 2>&1 | busybox tail -n 3
	[ -e /sys/fs/bpf/$object ] && echo "loaded $object"
done
fuzz_in_kernel /berth_xdp.bpf.o --packets %d
busybox poweroff -f
"""


def add_program(root, path):
    """A program and the libraries that it wants, where it looks for them."""
    shutil.copy(path, root / "bin")
    wanted = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+)", wanted):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """What the virtual machine said until it switched itself off."""
    root = tmp_path_factory.mktemp("root")
    for folder in ("bin", "proc", "sys", "dev"):
        (root / folder).mkdir()
    for program in ("/bin/busybox", shutil.which("bpftool"), BUILD / "tests/golden/fuzz_in_kernel"):
        add_program(root, str(program))
    for name in OBJECTS:
        shutil.copy(BUILD / "bpf" / f"{name}.bpf.o", root)
    init = root / "init"
    init.write_text(INIT % (" ".join(OBJECTS), PACKETS))
    init.chmod(0o755)
    image = root.parent / "root.cpio"
    files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with image.open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=files, stdout=out, check=True)
    kernel = sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"))[-1]
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot",
               "-kernel", kernel, "-initrd", str(image), "-append", "console=ttyS0 panic=-1 quiet"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                         timeout=180, check=False)
    return run.stdout


def test_it_is_debians_own_kernel(console):
    assert re.search(r"kernel 6\.1\.", console), console


@pytest.mark.parametrize("name", OBJECTS)
def test_the_kernel_takes_the_program(console, name):
    assert f"loaded {name}" in console, console


def test_host_core_and_xdp_program_agree_there(console):
    assert re.search(rf"\b{PACKETS} packets, 2 engines, 0 differences", console), console
