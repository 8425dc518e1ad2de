# SPDX-License-Identifier: BSD-3-Clause
"""A Debian with systemd that boots in seconds: in namespaces of its own, on this machine's kernel, as a host of a lab."""
import pathlib
import shutil
import signal
import subprocess

from lab import ROOT, wait_for


def make_root():
    """The files of a Debian without berth."""
    done = subprocess.run([ROOT / "scripts/package-root"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return pathlib.Path(done.stdout.split()[-1])


class Machine:
    def __init__(self, name, root, state, netns):
        """state: a directory that does not exist, in which the machine has its files."""
        self.name, self.state = name, state
        self.booting = subprocess.Popen([ROOT / "tests/e2e/boot-machine", root, state, netns],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = wait_for(self.find_systemd, 20, "the machine's systemd")
        wait_for(lambda: self.run("systemctl is-system-running --wait", check=False) in ("running\n", "degraded\n"), 60,
                 "the machine to boot")

    def find_systemd(self):
        assert self.booting.poll() is None, "the machine has ended"
        pid = self.booting.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # Before it is systemd, it is the script that prepares its files.
        return next((child for child in children if pathlib.Path(f"/proc/{child}/comm").read_text() == "systemd\n"), None)

    def run(self, command, check=True, timeout=90):
        """What a command of root's shell says."""
        done = subprocess.run(["nsenter", "-a", "-t", self.pid, "--", "/usr/bin/env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                               "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c",
                               f"cd /root; {command}"], capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text):
        subprocess.run(["nsenter", "-a", "-t", self.pid, "--", "/usr/bin/tee", path], input=text, text=True, check=True,
                       stdout=subprocess.DEVNULL)

    def copy(self, path):
        """A file of this machine to /root of that one."""
        with open(path, "rb") as file:
            subprocess.run(["nsenter", "-a", "-t", self.pid, "--", "/usr/bin/tee", f"/root/{path.name}"], stdin=file,
                           check=True, stdout=subprocess.DEVNULL)

    def end(self):
        self.booting.send_signal(signal.SIGKILL)
        self.booting.wait(10)
        shutil.rmtree(self.state, ignore_errors=True)
