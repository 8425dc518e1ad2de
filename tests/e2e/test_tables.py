# SPDX-License-Identifier: BSD-3-Clause
"""Tables of another size: connections, UDP flows and clients' sessions stay on their backends, and none breaks."""
import contextlib
import json
import mmap
import os
import signal
import struct
import subprocess

import pytest

import lab as labs
from kept import LARGE, MIDDLE, SMALL, Kept, lab, restart, yaml  # noqa: F401
from lab import wait_for
from test_engine_change import apply


def hang_up(lab, config):
    """SIGHUP: berthd applies its file again."""
    (lab.state / "berth.yaml").write_text(config)
    before = lab.log().count("applied: ")
    os.kill(lab.pid("berthd"), signal.SIGHUP)
    wait_for(lambda: lab.log().count("applied: ") > before, seconds=20, what="the configuration")


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


def clear_clients(lab):
    """As if a worker had inserted each session and not written its client yet."""
    name = f"berth-{lab.name}"
    if lab.engine == "dpdk":
        folders = [labs.pathlib.Path(folder) for folder in ("/dev/hugepages/berth", "/dev/shm/berth")]
        path = next(path for folder in folders for path in folder.glob(f"{name}.image.clients-*"))
        with path.open("r+b") as file, mmap.mmap(file.fileno(), path.stat().st_size) as memory:
            memory[:] = bytes(len(memory))
        return
    pin = ["pinned", str(next(labs.pathlib.Path(f"/sys/fs/bpf/berth/{name}").glob("clients-*")))]
    dump = subprocess.run(["bpftool", "-j", "map", "dump", *pin], capture_output=True, check=True).stdout
    for entry in json.loads(dump):
        if any(byte != "0x00" for byte in entry["value"]):
            subprocess.run(["bpftool", "map", "update", *pin, "key", "hex", *(byte[2:] for byte in entry["key"]),
                            "value", "hex", *["00"] * len(entry["value"])], check=True)


def test_a_size_that_a_session_stands_in_the_way_of_is_refused_until_its_client_sends(lab):
    """berthd moves a session by the address of its client. Without one it waits for a packet."""
    pid, home = lab.pid("berthd"), lab.backend_of("tunnel6")
    clear_clients(lab)
    apply(lab, yaml(lab.engine, LARGE))
    done = apply(lab, yaml(lab.engine, MIDDLE), check=False)
    assert done.returncode and "try again in a few seconds" in done.stderr, done.stderr
    os.kill(pid, 0)
    assert lab.answers("web")
    assert lab.backend_of("tunnel6") == home
    apply(lab, yaml(lab.engine, MIDDLE))
    os.kill(pid, 0)
    assert lab.backend_of("tunnel6") == home


def sizes(lab):
    """Buckets of the flow and the session table, and of their former ones."""
    record = labs.pathlib.Path(f"/dev/shm/berth/berth-{lab.name}.record")
    return struct.unpack_from("<IIII", record.read_bytes(), 28)


def test_a_third_size_that_is_refused_changes_no_table_and_stops_no_packet(lab):
    """An idle flow is in the smaller former table, so the tables would be turned back before they change. A session that
    cannot move yet refuses the change."""
    with contextlib.closing(lab.connect("web", timeout=10)) as idle:
        home = labs.request(idle)[1]
        lab.backend_of("tunnel6")
        clear_clients(lab)
        apply(lab, yaml(lab.engine, LARGE))
        before, processes = sizes(lab), labs.engine_processes(lab)
        done = apply(lab, yaml(lab.engine, MIDDLE), check=False)
        assert done.returncode and "try again in a few seconds" in done.stderr, done.stderr
        assert sizes(lab) == before and before[0] > before[2] > 0
        assert labs.engine_processes(lab) == processes
        assert labs.request(idle)[:2] == (200, home)


@pytest.mark.parametrize("lab", ["dpdk"], indirect=True)
def test_a_third_size_with_which_the_engine_does_not_start_leaves_all_tables_as_they_were(lab):
    with contextlib.ExitStack() as stack:
        kept = Kept(lab, stack)
        apply(lab, yaml("dpdk", LARGE))
        before = sizes(lab)
        done = apply(lab, yaml("dpdk", MIDDLE).replace("memory-mb: 64", "memory-mb: 60000"), check=False)
        assert done.returncode and "the former configuration is in force again" in done.stderr, done.stderr
        assert sizes(lab)[0] == before[0] and before[0] > before[2] > 0
        kept.stay()
        apply(lab, yaml("dpdk", MIDDLE))
        kept.stay()
