# SPDX-License-Identifier: BSD-3-Clause
"""Faults in a lab with real clients: scripts/soak --faults. The last line is the findings; the exit status is 1 if there
is one."""
import argparse
import collections
import pathlib
import re
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "support")]

import generated  # noqa: E402
from clients import Crowd  # noqa: E402
from faults import FAULTS, Faults, Settings  # noqa: E402
from lab import Lab, engine_processes, previous_build  # noqa: E402
from nodes import DIRECT, NODE_FAULTS, STORE_FAULTS, NodeFaults  # noqa: E402
from progress import Progress  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/soak --faults", description="Faults in a lab with real clients.")
    parser.add_argument("--engine", required=True, help="xdp or dpdk; with --nodes also a list")
    parser.add_argument("--nodes", type=int, choices=(1, 2, 3, 4), default=1, help="behind a router with ECMP; default 1")
    parser.add_argument("--store", nargs="?", const="redis", default="none", choices=("redis", "sentinel"),
                        help="the nodes have a store, which is killed and flushed, too; with Sentinel and a replica it fails over")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, help="end after these; default 60, with --flows no limit")
    parser.add_argument("--flows", type=int, default=0,
                        help="so many flows in all, nearly all from synthetic clients, and no end before; needs --nodes")
    parser.add_argument("--rate", type=int, default=1500, help="at most so many of these a second; default 1500")
    parser.add_argument("--count", type=int, default=0, help="end after so many faults; default: no limit")
    parser.add_argument("--only", default="", help="faults, with commas; default: all of the engine")
    parser.add_argument("--name", default="faults", help="of the lab; default: faults")
    options = parser.parse_args()
    if options.flows and options.nodes == 1:
        parser.error("--flows: with --nodes 2 to 4")
    if options.seconds is None:
        options.seconds = float("inf") if options.flows else 60
    return options


def is_store(path):
    """Tables of another size stay until their last entry has moved or expired. Of packet buffers there are as many as
    `memory-mb` says."""
    return re.search(r"((flows|sessions|clients)-|\.dpdkmap_)\d+$", path.name)


def amounts(lab):
    """What must not grow on a node."""
    pid = lab.pid(lab.process)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    pins = pathlib.Path("/sys/fs/bpf/berth") / lab.instance
    files = [p for folder in ("/dev/hugepages/berth", "/dev/shm/berth") for p in pathlib.Path(folder).glob(f"{lab.instance}.*")]
    return {
        "descriptors": len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())),
        "memory (MiB)": int(status.partition("RssAnon:")[2].split()[0]) >> 10,
        "pins": len([p for p in (pins.iterdir() if pins.exists() else ()) if not is_store(p)]),
        "files of tables": len([p for p in files if not is_store(p)]),
        "engines": len(engine_processes(lab)),
    }


def grown(before, lab):
    """What has grown and stays so: a check's connection or a command's is over in a moment."""
    end = time.monotonic() + 10
    while True:
        after = amounts(lab)
        found = [f"{lab.host}: {name}: {before[name]} before, {after[name]} after" for name in before
                 if after[name] > before[name] + (16 if "memory" in name else 0)]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def tells(faults, crowd, told):
    """Prints new findings, with the fault during which they were seen."""
    crowd.collect()
    for seconds, text in crowd.findings[told:]:
        print(f"FINDING: {seconds - crowd.start:.1f} s: {text}; during or after: {faults.newest}", flush=True)
    return len(crowd.findings)


def begin(options, lab):
    """The lab is up, and its clients are answered: (faults, crowd, names of the faults)"""
    synthetic = set(generated.SERVICES) if options.flows else set()
    settings = Settings(options.engine, DIRECT | synthetic) if options.nodes > 1 else Settings(options.engine)
    chosen = NODE_FAULTS + STORE_FAULTS[options.store] if options.nodes > 1 else FAULTS[options.engine]
    if options.only:
        chosen = options.only.split(",")
    if "downgrade" in chosen:
        previous_build()  # its build is no part of a fault
    lab.up(config=settings.yaml(), nodes=options.nodes, store=options.store)
    if options.flows:
        generated.prepare(lab, options.nodes)
    crowd = Crowd(lab, services=settings.services, rate=options.rate if options.flows else 0)
    if options.nodes > 1:
        faults = NodeFaults(lab, crowd, settings, options)
    else:
        faults = Faults(lab, crowd, settings, options.seed)
    for node in faults.nodes():
        node.all_up()
    faults.goes_on()
    return faults, crowd, chosen


def has_enough(options, crowd):
    return bool(options.flows) and flows_of(crowd.state()) >= options.flows


def flows_of(state):
    _, _, flows, totals = state
    return flows + (totals.begun if totals else 0)


def share_of(options, crowd, count, now):
    """How much of the run is over, by the limit that ends it first."""
    shares = [(now - crowd.start) / options.seconds]
    if options.count:
        shares.append(count / options.count)
    if options.flows:
        shares.append(flows_of(crowd.state()) / options.flows)
    return max(shares)


def soak(options, lab):
    faults, crowd, chosen = begin(options, lab)
    before = [amounts(node.lab) for node in faults.nodes()]
    told, count, end = 0, 0, time.monotonic() + options.seconds
    slowest, progress = collections.Counter(), Progress()
    while time.monotonic() < end and (not options.count or count < options.count) and not has_enough(options, crowd):
        name = faults.random.choice(chosen)
        start = time.monotonic()
        progress.clear()
        print(f"{start - crowd.start:.1f} s: {name}", flush=True)
        progress.show("faults", share_of(options, crowd, count, start))
        faults.make(name)
        faults.goes_on()
        slowest[name] = max(slowest[name], round(time.monotonic() - start, 1))
        count += 1
        told = tells(faults, crowd, told)
    progress.clear()
    faults.ends()
    more = [text for was, node in zip(before, faults.nodes()) for text in grown(was, node.lab)]
    state = crowd.state()
    answers, _, _, totals = state
    crowd.end()
    told = tells(faults, crowd, told)
    for name, number in sorted(faults.done.items()):
        print(f"{number:6} {name:20} the slowest: {slowest[name]} s")
    print(f"{answers + (totals.answers if totals else 0)} answers in {flows_of(state)} flows")
    if totals:
        print(f"{totals.begun} of these flows were generated: {totals.answers} answers, {totals.carried_on} of them through another node "
              f"than the one before, {totals.repeated} questions repeated")
        print(f"{totals.retired} generated clients did not come again, as a node had not met them before a change")
    for text in faults.moved():
        print(text)
    for text in more:
        print(f"FINDING: {text}")
    return told + len(more)


def main():
    options = arguments()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = Lab(options.name, options.engine)
    lab.down()  # left by an interrupted run
    try:
        findings = soak(options, lab)
    finally:
        for log in lab.state.glob("berthd*.log"):
            pathlib.Path(f"/tmp/berth-{lab.name}-{log.name}").write_text(log.read_text())
        lab.down()
    print(f"{findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
