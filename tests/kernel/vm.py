# SPDX-License-Identifier: BSD-3-Clause
"""A virtual machine (QEMU, emulated) that boots Debian 12's own kernel with little more than the test's programs in its
memory, runs one script and switches itself off."""
import glob
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))

INIT = """#!/bin/dash
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox mount -t bpf bpf /sys/fs/bpf
busybox mount -t tmpfs -o mode=755 tmpfs /run
busybox mkdir /dev/shm
busybox mount -t tmpfs -o mode=1777 tmpfs /dev/shm
"""


def kernel():
    return sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"))[-1]


def add_program(root, path, copy=True):
    """A program, if it is to be copied, and the libraries that it wants, where it looks for them."""
    if copy:
        shutil.copy(path, root / "bin")
    wanted = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+)", wanted):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(library, target)


def add_modules(root, names):
    """Modules of the kernel, and those that they need."""
    modules = pathlib.Path("/lib/modules") / kernel().partition("vmlinuz-")[2]
    target = root / str(modules).lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    for file in modules.glob("modules.*"):
        shutil.copy(file, target)
    for line in (modules / "modules.dep").read_text().splitlines():
        module, _, needed = line.partition(":")
        if pathlib.Path(module).name.split(".")[0] not in names:
            continue
        for path in [module, *needed.split()]:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(modules / path, target / path)


def make_root(directory, programs, objects):
    """The machine's files: busybox, a shell that does not take busybox for everything, the programs, and berth's BPF
    objects where they are installed."""
    root = directory / "root"
    installed = root / "usr/local/lib/berth"
    for folder in ("bin", "proc", "sys", "dev", "run"):
        (root / folder).mkdir(parents=True)
    installed.mkdir(parents=True)
    for program in ["/bin/busybox", "/bin/dash", *map(str, programs)]:
        add_program(root, program)
    for name in objects:
        shutil.copy(BUILD / "bpf" / f"{name}.bpf.o", installed)
    return root


def run(root, script, seconds, kernel_options="", options=()):
    """What the machine said until the script's end."""
    init = root / "init"
    init.write_text(INIT + script + "\nbusybox poweroff -f\n")
    init.chmod(0o755)
    return boot(root, seconds, kernel_options, options)


def boot(root, seconds, kernel_options="", options=(), memory_mb=1024):
    """What the machine said until it switched itself off."""
    image = root.parent / "root.cpio"
    files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with image.open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=files, stdout=out, check=True)
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory_mb), "-nographic", "-no-reboot", "-kernel",
        kernel(), "-initrd", str(image), "-append", f"console=ttyS0 panic=-1 quiet {kernel_options}", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as machine:
        try:
            said, _ = machine.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            machine.kill()
            said = machine.communicate()[0] + f"\n@@ not switched off after {seconds} s\n"
    return said.replace("\r", "")
