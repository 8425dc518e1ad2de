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
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from clients import Crowd  # noqa: E402
from faults import FAULTS, SERVICES, Faults, Settings  # noqa: E402
from lab import Lab, previous_build, wait_for  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/soak --faults", description="Faults in a lab with real clients.")
    parser.add_argument("--engine", choices=("xdp", "dpdk"), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=60, help="end after these; default 60")
    parser.add_argument("--count", type=int, default=0, help="end after so many faults; default: no limit")
    parser.add_argument("--only", default="", help="faults, with commas; default: all of the engine")
    parser.add_argument("--name", default="faults", help="of the lab; default: faults")
    return parser.parse_args()


def is_store(path):
    """Tables of another size stay until their last entry has moved or expired."""
    return re.search(r"(flows|sessions|clients)-\d+$", path.name)


def amounts(lab, faults):
    """What must not grow."""
    pid = lab.pid("berthd")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    pins = pathlib.Path("/sys/fs/bpf/berth") / f"berth-{lab.name}"
    files = [p for folder in ("/dev/hugepages/berth", "/dev/shm/berth") for p in pathlib.Path(folder).glob(f"berth-{lab.name}*")]
    return {
        "descriptors": len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())),
        "memory (MiB)": int(status.partition("RssAnon:")[2].split()[0]) >> 10,
        "pins": len([p for p in (pins.iterdir() if pins.exists() else ()) if not is_store(p)]),
        "files of tables": len([p for p in files if not is_store(p)]),
        "engines": len(faults.engine_pids()),
    }


def grown(before, lab, faults):
    """What has grown and stays so: a check's connection or a command's is over in a moment."""
    end = time.monotonic() + 10
    while True:
        after = amounts(lab, faults)
        found = [f"{name}: {before[name]} before, {after[name]} after" for name in before
                 if after[name] > before[name] + (16 if "memory" in name else 0)]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def tells(faults, crowd, told):
    """Prints new findings, with the fault during which they were seen."""
    crowd.collect()
    for seconds, text in crowd.findings[told:]:
        print(f"FINDING: {seconds - crowd.start:.1f} s: {text}; during or after: {list(faults.done)[-1:] or 'the start'}", flush=True)
    return len(crowd.findings)


def soak(options, lab):
    settings = Settings(options.engine)
    chosen = options.only.split(",") if options.only else FAULTS[options.engine]
    if "downgrade" in chosen:
        previous_build()  # its build is no part of a fault
    lab.up(config=settings.yaml())
    wait_for(lambda: lab.all_up(3, SERVICES), 30, "health")
    crowd = Crowd(lab)
    faults = Faults(lab, crowd, settings, options.seed)
    faults.goes_on()
    before = amounts(lab, faults)
    told, count, end = 0, 0, time.monotonic() + options.seconds
    slowest = collections.Counter()
    while time.monotonic() < end and (not options.count or count < options.count):
        name = faults.random.choice(chosen)
        start = time.monotonic()
        print(f"{start - crowd.start:.1f} s: {name}", flush=True)
        faults.make(name)
        faults.goes_on()
        slowest[name] = max(slowest[name], round(time.monotonic() - start, 1))
        count += 1
        told = tells(faults, crowd, told)
    if faults.back:
        faults.make("victim")
    if settings.engine != options.engine:
        faults.make("other_engine")
    faults.goes_on()
    more = grown(before, lab, faults)
    answers = crowd.state()[0]
    crowd.end()
    told = tells(faults, crowd, told)
    for name, number in sorted(faults.done.items()):
        print(f"{number:6} {name:20} the slowest: {slowest[name]} s")
    print(f"{answers} answers")
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
        if (lab.state / "berthd.log").exists():
            pathlib.Path(f"/tmp/berth-{lab.name}.log").write_text(lab.log())
        lab.down()
    print(f"{findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
