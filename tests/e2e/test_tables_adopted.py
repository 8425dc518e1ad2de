# SPDX-License-Identifier: BSD-3-Clause
"""Tables outlive every change of what is around them: limits, numbers, the engine, formats, damage. Connections, UDP flows
and clients' sessions stay on their backends, and none breaks."""
import contextlib
import json
import mmap
import random
import re
import struct
import subprocess

import pytest

import lab as labs
from kept import LARGE, SMALL, Kept, lab, restart, yaml  # noqa: F401
from lab import CLIENTS4, wait_for
from test_engine_change import apply, plan

OTHER = {"xdp": "dpdk", "dpdk": "xdp"}


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
