# SPDX-License-Identifier: BSD-3-Clause
"""The DPDK engine as a process, for the benchmarks that run it without berthd."""
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

from program import Failed

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build-bench"))
LIFETIME = 120  # seconds after which a process ends, whatever becomes of the others


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                          timeout=LIFETIME)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(f"{' '.join(map(str, command))}: {said[-1] if said else done.returncode}")
    return done.stdout


def tool(name, *arguments, way=()):
    """What a program of tests/bench says, run by way of another command."""
    return run(*way, BUILD / "tests/bench" / name, *arguments)


class Process:
    """Ends with this program. Whose turn it is not is stopped, so that it costs the other nothing."""

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
        time.sleep(0.1)  # its caches are another's still
        try:
            yield
        finally:
            self.pause()


class Engine(Process):
    """berth-dpdk with one worker, by way of a command that puts it into a network namespace. `directory` is its own,
    with the image in it."""

    def __init__(self, stack, way, directory, port, *options):
        self.image = directory / "image"
        log = stack.enter_context(open(directory / "log", "w+"))
        super().__init__(stack, [
            *way, BUILD / "dataplane/berth-dpdk", "--instance", directory.name, "--image", self.image, "--run-dir",
            directory, "--port", port, "--workers", "1", *options], stdout=log)
        while not (directory / f"{directory.name}-dpdk.json").exists():
            if self.process.poll() is not None:
                log.seek(0)
                raise Failed(f"berth-dpdk: {log.read().strip()}")
            time.sleep(0.02)
