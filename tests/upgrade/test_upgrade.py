# SPDX-License-Identifier: BSD-3-Clause
"""From the previous release (PREVIOUS) to this one and back, while clients talk: no connection breaks, no client moves,
and what operators set stays."""
import contextlib
import os
import pathlib
import sys
import threading
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "faults")]

from clients import Crowd  # noqa: E402
from faults import Faults, Settings  # noqa: E402
import lab as labs  # noqa: E402
from lab import CLIENTS4, engine_processes, wait_for  # noqa: E402

PAUSE_MS = 5000  # of berth-dpdk on a loaded machine; docs/guarantees.md has the promise
INTERVAL_MS = 2  # of two datagrams
PINNED = CLIENTS4[3]


class WithoutTableSize(Settings):
    """The releases give selection tables of other sizes to these services."""

    def service(self, name):
        return (line for line in super().service(name) if "table-size" not in line)


class Datagrams(threading.Thread):
    """One flow whose datagrams are numbered: counts those without an answer."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.sock = lab.udp("dns")
        self.sock.setblocking(False)
        self.sent = 0
        self.missing = set()
        self.over = threading.Event()

    def receive(self):
        with contextlib.suppress(OSError):
            while True:
                self.missing.discard(int(self.sock.recv(100).split()[1]))

    def run(self):
        while not self.over.wait(INTERVAL_MS / 1000):
            self.sent += 1
            self.missing.add(self.sent)
            with contextlib.suppress(OSError):
                self.sock.send(b"%d" % self.sent)
            self.receive()

    def lost(self):
        """The number of datagrams without an answer."""
        self.over.set()
        self.join()
        end = time.monotonic() + 2
        while self.missing and time.monotonic() < end:
            self.receive()
            time.sleep(0.01)
        self.sock.close()
        return len(self.missing)


@pytest.fixture(name="lab", params=["xdp", "dpdk"])
def lab_of_previous(request):
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and BPF")
    lab = labs.Lab(f"upgrade{request.param}", request.param, labs.previous_build())
    lab.down()  # left by an interrupted run
    settings = WithoutTableSize(request.param)
    lab.up(config=settings.yaml())
    lab.settings = settings
    yield lab
    lab.down()


def program_of(pid):
    return pathlib.Path(os.readlink(f"/proc/{pid}/exe"))


def set_by_operators(lab):
    lab.ctl("backend", "drain", "dnsgue/b3", "--deadline", "1h")
    lab.ctl("backend", "health", "mixed/b2", "up")
    homes = lab.backends_by_client("web", CLIENTS4)
    other = next(name for name in ("b1", "b2") if name != homes[PINNED])
    lab.ctl("session", "pin", PINNED, f"web/{other}")
    return other


def operator_state(lab, pinned_to):
    """What operators have set, and that it is in force."""
    drained, forced = lab.backend("dnsgue", "b3"), lab.backend("mixed", "b2")
    assert lab.backend_of("web", PINNED) == pinned_to
    return (drained["admin"], forced["health_forced"], lab.secret.read_bytes())


def runs_from(build, pid):
    return program_of(pid).is_relative_to(build.resolve())


def restart_as(lab, faults, build):
    """Returns what was lost of one flow."""
    datagrams = Datagrams(lab)
    datagrams.start()
    time.sleep(0.1)
    faults.becomes(build)
    time.sleep(0.1)
    lost = datagrams.lost()
    assert runs_from(build, lab.pid("berthd"))
    # A release may leave the engine of the other one running where both share one image.
    assert build != labs.BUILD or all(runs_from(build, pid) for pid in engine_processes(lab))
    return lost


def check_loss(lab, lost, engines):
    if lab.engine == "xdp" or engine_processes(lab) == engines:
        assert lost == 0
        return
    pause_ms = lab.show("engine")["pause_ms"]
    print(f"{lost} datagrams lost, packets stopped for {pause_ms} ms")
    assert lost < PAUSE_MS / INTERVAL_MS
    assert lab.build != labs.BUILD or 0 < pause_ms < PAUSE_MS


def test_no_client_moves_and_nothing_breaks_on_the_way_to_this_release_and_back(lab):
    lab.secret = pathlib.Path(lab.show("engine")["secret_file"])
    pinned_to = set_by_operators(lab)
    before = operator_state(lab, pinned_to)
    previous, crowd = lab.build, Crowd(lab)
    faults = Faults(lab, crowd, lab.settings, seed=1)
    try:
        faults.goes_on()
        for build in (labs.BUILD, previous, labs.BUILD):
            engines = engine_processes(lab)
            lost = restart_as(lab, faults, build)
            assert lab.show("engine")["adopted"]
            check_loss(lab, lost, engines)
            assert operator_state(lab, pinned_to) == before
            faults.goes_on()
        assert f"no longer have the former default of rows: {len(lab.settings.services)}." in lab.log()
    finally:
        crowd.end()
    assert not crowd.findings


def placed_clients(lab):
    """Clients of web, some of them on another backend than selection's: its own was disabled."""
    lab.ctl("backend", "disable", "web/b1")
    homes = lab.backends_by_client("web", CLIENTS4)
    lab.ctl("backend", "enable", "web/b1")
    assert set(homes.values()) == {"b2", "b3"}
    return homes


@pytest.mark.parametrize("lab", ["xdp"], indirect=True)
def test_what_survives_a_reboot_is_read_by_both_releases(lab):
    """A shutdown removes all tables, as a reboot does."""
    path = lab.state / "berth.yaml"
    lab.secret = pathlib.Path(lab.show("engine")["secret_file"])
    previous, homes = lab.build, placed_clients(lab)
    homes[PINNED] = set_by_operators(lab)
    before = operator_state(lab, homes[PINNED])
    path.write_text("sessions: {save: 1h}\n" + lab.settings.yaml())
    lab.ctl("config", "apply", path)
    for build in (labs.BUILD, previous, labs.BUILD):
        lab.ctl("shutdown")
        wait_for(lambda: not lab.berthd_is_running(), what="berthd to end")
        lab.build = build
        lab.run("berthd")
        assert not lab.show("engine")["adopted"] and runs_from(build, lab.pid("berthd"))
        assert lab.backends_by_client("web", CLIENTS4) == homes
        assert operator_state(lab, homes[PINNED]) == before
        assert not list(lab.secret.parent.glob("*.damaged"))
