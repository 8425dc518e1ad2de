# SPDX-License-Identifier: BSD-3-Clause
"""Tables outlive every change of what is around them: limits, sizes, numbers, the engine. Connections, UDP flows and
clients' sessions stay on their backends, and none breaks."""
import contextlib
import json
import mmap
import os
import random
import re
import signal
import struct
import subprocess

import pytest

import lab as labs
from conftest import lab_up
from lab import CLIENTS4, CLIENTS6, ask, wait_for
from test_engine_change import apply, plan
from test_restart import Asker

USED = ["web", "web6", "tunnel6", "dns"]
SMALL = "{flows: 65536, sessions: 16384, services: 64, backends: 256}"
LARGE = "{flows: 400000, sessions: 100000, services: 128, backends: 700}"
MIDDLE = "{flows: 200000, sessions: 50000, services: 64, backends: 256}"
OTHER = {"xdp": "dpdk", "dpdk": "xdp"}


def yaml(engine, limits=SMALL):
    # Connections that ended leave a former table soon.
    text = labs.config_yaml(engine, services=USED, more=["timeouts: {closing: 2s}"])
    return re.sub(r"limits: \{.*\}", f"limits: {limits}", text)


@pytest.fixture(params=["xdp", "dpdk"])
def lab(request):
    lab = lab_up(f"e2etab{request.param}", request.param, config=yaml(request.param))
    yield lab
    lab.down()


def restart(lab, config):
    lab.kill_berthd()
    (lab.state / "berth.yaml").write_text(config)
    lab.run("berthd")


def hang_up(lab, config):
    """SIGHUP: berthd applies its file again."""
    (lab.state / "berth.yaml").write_text(config)
    before = lab.log().count("applied: ")
    os.kill(lab.pid("berthd"), signal.SIGHUP)
    wait_for(lambda: lab.log().count("applied: ") > before, seconds=20, what="the configuration")


class Kept:
    """Connections with requests all the time, idle ones, UDP flows and clients: after each change all are where they
    were."""

    def __init__(self, lab, stack):
        self.lab = lab
        self.askers = [stack.enter_context(Asker(lab, service, pause=0.1)) for service in ("web", "web6", "tunnel6")]
        self.udp = [stack.enter_context(contextlib.closing(lab.udp("dns"))) for _ in range(40)]
        self.idle = [stack.enter_context(contextlib.closing(lab.connect("web", timeout=10))) for _ in range(10)]
        self.answers = [ask(sock) for sock in self.udp]
        self.homes = [labs.request(sock)[1] for sock in self.idle]
        self.clients = self.clients_now()

    def clients_now(self):
        lab = self.lab
        return lab.backends_by_client("web", CLIENTS4[:8]), lab.backends_by_client("tunnel6", CLIENTS6[:8])

    def go_on(self):
        """The connections with requests. (TCP waits longer after each stop of packets that it meets.)"""
        for asker in self.askers:
            asker.goes_on()

    def stay(self):
        self.go_on()
        assert [ask(sock) for sock in self.udp] == self.answers
        assert [labs.request(sock)[:2] for sock in self.idle] == [(200, home) for home in self.homes]
        assert self.clients_now() == self.clients


def former_is_gone(lab):
    return lab.log().count("have left the table") == 2


@pytest.mark.parametrize("change", [restart, apply])
def test_flows_and_sessions_stay_when_tables_grow_and_shrink(lab, change):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        for limits in (LARGE, SMALL):
            lab.log_path().write_text("")
            change(lab, yaml(lab.engine, limits))
            assert "move from a table" in lab.log()
            kept.stay()
            wait_for(lambda: former_is_gone(lab), seconds=20, what="the end of the former tables")
            kept.stay()
        # As any restart: nothing is left of the former ones.
        restart(lab, yaml(lab.engine, SMALL))
        kept.stay()


def test_flows_and_sessions_stay_when_limits_of_numbers_and_table_sizes_change(lab):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        more_numbers = SMALL.replace("services: 64, backends: 256", "services: 80, backends: 1000")
        larger = yaml(lab.engine, more_numbers).replace("    mode: l2\n", "    mode: l2\n    table-size: 655373\n", 1)
        for change, config in ((apply, yaml(lab.engine, more_numbers)), (apply, larger), (restart, yaml(lab.engine)),
                               (hang_up, larger), (apply, yaml(lab.engine))):
            change(lab, config)
            kept.stay()


def test_sizes_change_again_before_all_flows_have_left_the_former_tables(lab):
    """A flow that is idle stays in the table of a former size."""
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        for several in ((LARGE, MIDDLE), (LARGE, SMALL, MIDDLE, LARGE)):
            for limits in several:
                apply(lab, yaml(lab.engine, limits))
                kept.go_on()
            kept.stay()


@pytest.mark.parametrize("change", [restart, apply])
def test_limits_below_the_numbers_in_use_keep_the_numbers(lab, change):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        numbers = {b["name"]: b["health"] for b in lab.show("backends", "web")["backends"]}
        change(lab, yaml(lab.engine, SMALL.replace("services: 64, backends: 256", "services: 5, backends: 12")))
        kept.stay()
        assert {b["name"]: b["health"] for b in lab.show("backends", "web")["backends"]} == numbers


@pytest.mark.parametrize("change", [restart, apply])
def test_flows_and_sessions_stay_when_the_engine_changes_and_changes_back(lab, change):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        for engine in (OTHER[lab.engine], lab.engine):
            change(lab, yaml(engine))
            wait_for(lambda: lab.show("engine")["engine"] == engine and lab.answers("web"), seconds=10, what=engine)
            kept.stay()


def figures(lab):
    return {b["name"]: (b["health"], b["packets"]) for b in lab.show("backends", "web")["backends"]}


def test_an_apply_of_limits_says_before_what_it_will_do_and_keeps_verdicts_and_counters(lab):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        change = plan(lab, yaml(lab.engine, LARGE))
        assert change["engine_change"] == ("tables" if lab.engine == "xdp" else "restart")
        assert (change["engine_pause_ms"] > 0) == (lab.engine == "dpdk")
        assert plan(lab, yaml(OTHER[lab.engine]))["engine_change"] == "engine"
        lab.ctl("backend", "drain", "tunnel6/b2")
        before = figures(lab)
        apply(lab, yaml(lab.engine, LARGE))
        after = figures(lab)
        assert {name: health for name, (health, _) in after.items()} == {name: health for name, (health, _) in before.items()}
        assert all(after[name][1] >= before[name][1] for name in before), (before, after)
        assert sum(packets for _, packets in before.values()) > 0
        assert lab.backend("tunnel6", "b2")["admin"] == "draining"
        kept.stay()


def test_tables_that_cannot_be_had_change_nothing(lab):
    """berthd may use 150 MiB more than it does, and these tables need 256."""
    pid = lab.pid("berthd")
    used = int(re.search(r"VmSize:\s+(\d+) kB", labs.pathlib.Path(f"/proc/{pid}/status").read_text())[1])
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        before = (lab.state / "berth.yaml").read_text()
        subprocess.run(["prlimit", "--pid", str(pid), f"--as={(used + 150 * 1024) * 1024}:"], check=True)
        done = apply(lab, yaml(lab.engine, SMALL.replace("flows: 65536", "flows: 20000000")), check=False)
        assert done.returncode and "cannot " in done.stderr, done.stderr
        kept.stay()
        assert (lab.state / "berth.yaml").read_text() == before
        subprocess.run(["prlimit", "--pid", str(pid), "--as=unlimited:"], check=True)
        apply(lab, yaml(lab.engine, LARGE))
        kept.stay()


def test_an_engine_that_does_not_start_with_other_tables_is_rolled_back(lab):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        config = yaml("dpdk", LARGE if lab.engine == "dpdk" else SMALL).replace("memory-mb: 64", "memory-mb: 60000")
        done = apply(lab, config, check=False)
        assert done.returncode and "the former configuration is in force again" in done.stderr, done.stderr
        assert lab.show("engine")["engine"] == lab.engine
        kept.stay()
        apply(lab, yaml(lab.engine, LARGE))
        kept.stay()


def set_format(record, word_format):
    """Makes the record that of a release without seals whose words have this format."""
    with record.open("r+b") as file:
        head = file.read(48)
        services, backends = struct.unpack_from("<II", head, 20)
        file.truncate(256 + services * 8 + backends * 80)
        file.seek(12)
        file.write(word_format.to_bytes(4, "little"))
        file.seek(44)  # is_sealed
        file.write(bytes(4))


def test_tables_of_an_unknown_format_are_refused_and_discarded_when_told(lab):
    record = labs.pathlib.Path(f"/dev/shm/berth/berth-{lab.name}.record")
    home = lab.backend_of("web")
    lab.kill_berthd()
    set_format(record, 99)
    done = lab.run("berthd", check=False)
    assert done.returncode and "--discard" in lab.log()
    assert lab.backend_of("web") == home  # by the former berthd's engine
    set_format(record, 1)
    lab.run("berthd")
    assert lab.backend_of("web") == home


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_record_costs_the_tables_and_packets_go_where_selection_says(lab, seed):
    record = labs.pathlib.Path(f"/dev/shm/berth/berth-{lab.name}.record")
    before = lab.backends_by_client("web", CLIENTS4[:8])
    lab.kill_berthd()
    draw = random.Random(seed)
    with record.open("r+b") as file:
        file.seek(draw.randrange(record.stat().st_size - 64))
        file.write(draw.randbytes(draw.choice([1, 8, 64])))
    lab.run("berthd")
    wait_for(lambda: lab.answers("web"), what="an answer")
    engine = lab.show("engine")
    assert engine["adopted"] or "cannot be adopted (their record is damaged)" in lab.log()
    assert lab.backends_by_client("web", CLIENTS4[:8]) == before
    assert lab.answered_by_one_backend("tunnel6")


def set_abi(lab, version):
    """Gives the image another ABI version, as another release would have: bytes 8 to 11 of its header."""
    value = version.to_bytes(4, "little")
    if lab.engine == "dpdk":
        paths = [labs.pathlib.Path(f"/dev/{where}/berth/berth-{lab.name}.image") for where in ("hugepages", "shm")]
        path = next(path for path in paths if path.exists())
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 2 << 20) as memory:
            memory[8:12] = value
        return
    pin = ["pinned", f"/sys/fs/bpf/berth/berth-{lab.name}/ctl", "key", "hex", "00", "00", "00", "00"]
    entry = json.loads(subprocess.run(["bpftool", "-j", "map", "lookup", *pin], capture_output=True, check=True).stdout)
    ctl = [f"{int(byte, 16):02x}" for byte in entry["value"]]
    ctl[8:12] = [f"{byte:02x}" for byte in value]
    subprocess.run(["bpftool", "map", "update", *pin, "value", "hex", *ctl], check=True)


def test_flows_and_sessions_stay_when_the_image_is_of_another_version(lab):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        lab.kill_berthd()
        set_abi(lab, 1)
        lab.log_path().write_text("")
        lab.run("berthd")
        assert "another version of berth" in lab.log()
        kept.stay()
