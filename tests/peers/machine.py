# SPDX-License-Identifier: BSD-3-Clause
"""A virtual machine with Debian 12's own kernel that is told commands, and whose only NIC ends in this process: it sends each
frame, and sees each frame that the machine sends."""
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kernel"))
import vm  # noqa: E402

MAC = "52:54:00:00:00:02"
# An emulated machine on a busy host. A command may have a limit of its own, of minutes.
BOOT_SECONDS, COMMAND_SECONDS, ANSWER_SECONDS = 300, 900, 120

SHELL = """
exec </dev/ttyS1 >/dev/ttyS1 2>&1
busybox stty raw -echo
for applet in modprobe rmmod sysctl sleep cat grep rm kill pidof ln; do
	busybox ln -s /bin/busybox /bin/$applet
done
busybox ln -s /bin/dash /bin/sh
echo "@@ 0"
while read -r line; do
	eval "$line"
	echo "@@ $?"
done
busybox poweroff -f
"""


class Machine:
    """`programs` and `modules` are those of this host. In a `with` it has booted."""

    def __init__(self, directory, programs, objects, modules):
        self.directory = pathlib.Path(directory)
        self.root = vm.make_root(self.directory, programs, objects)
        vm.add_modules(self.root, ["virtio_net", "virtio_pci", *modules])
        init = self.root / "init"
        init.write_text(vm.INIT + SHELL)
        init.chmod(0o755)
        self.nic = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.nic.bind(str(self.directory / "here"))
        self.process = None

    def command(self):
        image = self.directory / "root.cpio"
        files = subprocess.run(["find", "."], cwd=self.root, capture_output=True, check=True).stdout
        with image.open("wb") as out:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=self.root, input=files, stdout=out, check=True)
        return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none", "-nodefaults", "-no-reboot",
                "-kernel", vm.kernel(), "-initrd", image, "-append", "console=ttyS0 panic=-1 quiet",
                "-serial", f"file:{self.directory}/console", "-serial", "stdio",
                "-netdev", f"dgram,id=n0,local.type=unix,local.path={self.directory}/there,"
                           f"remote.type=unix,remote.path={self.directory}/here",
                "-device", f"virtio-net-pci,netdev=n0,mac={MAC},romfile="]

    def __enter__(self):
        self.process = subprocess.Popen([*map(str, self.command())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=(self.directory / "qemu.log").open("w"), text=True, errors="replace")
        try:
            self.answer(BOOT_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.nic.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def answer(self, seconds):
        """Of the machine, which is killed when it has none in time."""
        lines = []
        end = threading.Timer(seconds, self.process.kill)
        end.start()
        try:
            for line in self.process.stdout:
                if line.startswith("@@ "):
                    return int(line[3:]), "".join(lines)
                lines.append(line.replace("\r", ""))
        finally:
            end.cancel()
        raise RuntimeError(f"the machine has ended, or had no answer in {seconds} s: "
                           f"{''.join(lines)}{(self.directory / 'qemu.log').read_text()}")

    def do(self, command, check=True):
        """What a command said; a command is one line."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        status, said = self.answer(COMMAND_SECONDS)
        if check and status:
            raise RuntimeError(f"{command}: {status}: {said}")
        return said

    def send(self, frame):
        self.nic.sendto(frame, str(self.directory / "there"))

    def receive(self, is_last):
        """All frames of the machine, up to one of which is_last says so. That one is left out."""
        frames, end = [], time.monotonic() + ANSWER_SECONDS
        self.nic.settimeout(1)
        while time.monotonic() < end:
            try:
                frame = self.nic.recv(65536)
            except TimeoutError:
                continue
            if is_last(frame):
                return frames
            frames.append(frame)
        raise RuntimeError(f"no answer in {ANSWER_SECONDS} s, and these frames: {[frame.hex() for frame in frames]}")
