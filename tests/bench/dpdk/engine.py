# SPDX-License-Identifier: BSD-3-Clause
"""The DPDK engine as a process, for benchmarks without berthd."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from program import Failed

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build-bench"))
LIFETIME = 120  # seconds after which a process ends in any case


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          timeout=LIFETIME)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(f"{' '.join(map(str, command))}: {said[-1] if said else done.returncode}")
    return done.stdout


def tool(name, *arguments, prefix=()):
    """Runs a program of tests/bench, behind the words of `prefix`, and returns its output."""
    return run(*prefix, BUILD / "tests/bench" / name, *arguments)


class Process:
    """Ends with this program. It is stopped (SIGSTOP) while others are measured."""

    def __init__(self, stack, command, **more):
        command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, text=True, **more)
        timer = threading.Timer(LIFETIME, self.process.kill)
        timer.start()
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)
        stack.callback(timer.cancel)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def awake(self):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)  # its caches are cold
        try:
            yield
        finally:
            self.pause()


class Engine(Process):
    """berth-dpdk with one worker. `prefix` is a command that enters a network namespace; `directory` is used by this
    engine only and has the image."""

    def __init__(self, stack, prefix, directory, port, *options):
        self.image = directory / "image"
        log = stack.enter_context(open(directory / "log", "w+"))
        super().__init__(stack, [
            *prefix, BUILD / "dataplane/berth-dpdk", "--instance", directory.name, "--image", self.image, "--run-dir",
            directory, "--port", port, "--workers", "1", *options], stdout=log)
        self.status_file = directory / f"{directory.name}-dpdk.json"
        while not self.status_file.exists():
            if self.process.poll() is not None:
                log.seek(0)
                raise Failed(f"berth-dpdk: {log.read().strip()}")
            time.sleep(0.02)

    def status(self):
        return json.loads(self.status_file.read_text())
