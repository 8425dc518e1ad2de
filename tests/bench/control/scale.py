#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What many services and backends cost berthd: the time until it forwards, memory, a configuration with one change, two
servers of all services that fail shortly after each other, how long other clients wait meanwhile, the checks of many
backends, and the time from a kill to checks again.

The engine is `null`, in a network namespace of its own; adoption needs the XDP engine on a veth. berthd and its helpers
are the real programs, the servers are real sockets. Sizes of a row are in its id: SERVICESxBACKENDS. With --quick they
are a tenth.

scale.py [--quick] [ID-PREFIX]...
"""
import contextlib
import ctypes
import json
import math
import mmap
import os
import pathlib
import re
import selectors
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from program import Failed, main, say

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build-bench"))
CLONE_NEWNET = 0x40000000
START_S = 120  # until berthd is ready, at most
PORT = 80
SERVERS = 10
COUNT = struct.Struct("Q")
# Health checks of rows in which servers fail.
INTERVAL_S, FALL = 0.2, 2
BETWEEN_S = 0.4
# Many health checks, each of an address of its own.
MANY_SERVICES, MANY_BACKENDS, MANY_INTERVAL_S, MANY_S = 200, 100, 1, 10

ROWS = [
    "scale.start.10000x6", "scale.start.10000x6.exponent", "scale.rss.10000x6", "scale.start.1x60000",
    "scale.start.1x60000.exponent", "scale.apply.one_of_10000", "scale.stall.10000.apply", "scale.stall.10000.plan",
    "scale.stall.10000.show", "scale.stall.10000.scrape", "scale.first_failure.3000", "scale.second_failure.3000",
    "scale.stall.3000.failures", "scale.adopt.5000x10", "scale.health.20000", "scale.health.20000.in_time",
    "scale.health.20000.found",
]


def address_of(number):
    return f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"


def backends_of(count, check):
    """As many servers as backends; with health checks the same ten for all services."""
    first = 1 if check == "none" else 60001
    return ", ".join(f"{{name: s{i}, address: {address_of(first + i)}}}" for i in range(count))


def configuration(services, backends, check="none", engine="'null'", interface="lo"):
    lines = [f"engine: {engine}", f"interfaces: [{{name: {interface}}}]", "metrics: {listen: '127.0.0.1:9100'}",
             f"limits: {{flows: 65536, sessions: 1024, services: {services}, backends: {services * backends}}}",
             "services:"]
    listed = backends_of(backends, check)
    for i in range(services):
        virtual = f"203.{i // 65536}.{i // 256 % 256}.{i % 256}"
        lines.append(f"- {{name: v{i}, address: {virtual}, port: {PORT}, mode: ipip, health: {{{health_of(check)}}}, "
                     f"backends: [{listed}]}}")
    return "\n".join(lines) + "\n"


def health_of(check):
    if check == "none":
        return "type: none"
    return f"type: tcp, interval: {round(INTERVAL_S * 1000)}ms, timeout: {round(INTERVAL_S * 500)}ms, " \
           f"rise: 1, fall: {FALL}"


class Berthd:
    """A berthd with a directory of its own. Its log is read by a thread, which notes when each line came."""

    def __init__(self, stack, text):
        self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-scale-")))
        self.config = self.directory / "berth.yaml"
        self.config.write_text(text)
        self.process = None
        stack.callback(self.stop)

    def start(self):
        """Returns the seconds until it is ready."""
        begin = time.monotonic()
        self.lines = []
        self.process = subprocess.Popen(
            [BUILD / "controlplane/berthd", "-c", self.config, "-i", "scale", "-r", self.directory,
             "-d", self.directory / "state"], stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read_log, args=(self.process, self.lines), daemon=True).start()
        return self.await_line(r"ready: ", begin + START_S) - begin

    @staticmethod
    def read_log(process, lines):
        for line in process.stderr:
            lines.append((time.monotonic(), line))

    def await_line(self, pattern, until, count=1):
        """The time of the line that is the last of so many with the pattern."""
        at, found = 0, []
        while len(found) < count:
            for when, line in self.lines[at:]:
                at += 1
                if re.search(pattern, line):
                    found.append(when)
            if len(found) < count:
                if self.process.poll() is not None or time.monotonic() > until:
                    last = "".join(line for _, line in self.lines[-3:])
                    raise Failed(f"no line '{pattern}' of berthd; its last ones:\n{last}")
                time.sleep(0.002)
        return found[count - 1]

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.directory / "scale.sock"))
        return client

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def ask(client, command, **arguments):
    """The result of a command, all of its pages; `client`: a connection."""
    pages = []
    while True:
        client.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = client.recv(1 << 20)
            if not part:
                raise Failed(f"berthd closed the connection of {command}")
            answer += part
        answer = json.loads(answer)
        if not answer["ok"]:
            raise Failed(f"{command}: {answer['error']}")
        pages.append(answer["result"])
        if not isinstance(answer["result"], dict) or not answer["result"].get("next"):
            return pages
        arguments["after"] = answer["result"]["next"]


class Waiting:
    """A client that asks for little all the time, and notes its longest wait."""

    def __init__(self, berthd):
        self.client = berthd.connect()
        self.longest = 0.0
        self.ends = False

    def work(self):
        while not self.ends:
            begin = time.monotonic()
            ask(self.client, "show engine")
            self.longest = max(self.longest, time.monotonic() - begin)
            time.sleep(0.001)

    def __enter__(self):
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.client.close()

    @property
    def longest_ms(self):
        return self.longest * 1000


def say_ms(name, seconds, goal):
    say(name, round(seconds * 1000, 2), "ms", goal=f"at most {goal}", met=seconds * 1000 <= goal)


def say_s(name, seconds, goal):
    say(name, round(seconds, 3), "s", goal=f"at most {goal}", met=seconds <= goal)


# --- one row, or those that one berthd gives ---


def start_once(services, backends):
    with contextlib.ExitStack() as stack:
        return Berthd(stack, configuration(services, backends)).start()


def measure_start(wanted, name, services, backends, goal_s):
    """The exponent is that of the time from a quarter of the size to all of it."""
    if not any(row.startswith(name) for row in wanted):
        return
    grows = ("services", "backends")[services == 1]
    quarter = (services // 4, backends) if grows == "services" else (services, backends // 4)
    all_s, quarter_s = start_once(services, backends), start_once(*quarter)
    say_s(name, all_s, goal_s)
    exponent = math.log(all_s / quarter_s) / math.log(4)
    say(f"{name}.exponent", round(exponent, 2), "", goal="at most 1.1", met=exponent <= 1.1)


def measure_many(wanted, services, backends):
    rows = ("scale.rss", "scale.apply", "scale.stall.10000")
    if not any(row.startswith(rows) for row in wanted):
        return
    with contextlib.ExitStack() as stack:
        text = configuration(services, backends)
        berthd = Berthd(stack, text)
        berthd.start()
        rss = berthd.memory_mb()
        say("scale.rss.10000x6", round(rss), "MB", goal="at most 400", met=rss <= 400)
        client = berthd.connect()
        measure_apply(berthd, client, text)
        measure_stalls(berthd, client, text)


def changed(text, number):
    """The configuration with another weight of one backend."""
    return text.replace("{name: s0,", f"{{weight: {50 + number}, name: s0,", 1)


def measure_apply(berthd, client, text):
    seconds = []
    for number in range(5):
        begin = time.monotonic()
        with Waiting(berthd) as waiting:
            ask(client, "config apply", file="scale.yaml", text=changed(text, number))
        seconds.append((time.monotonic() - begin, waiting.longest))
    say_ms("scale.apply.one_of_10000", sorted(s for s, _ in seconds)[2], 20)
    say_ms("scale.stall.10000.apply", max(s for _, s in seconds), 20)


def scrape():
    with socket.create_connection(("127.0.0.1", 9100)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        while client.recv(1 << 20):
            pass


def measure_stalls(berthd, client, text):
    works = {
        "plan": lambda: ask(client, "plan", file="scale.yaml", text=changed(text, 9)),
        "show": lambda: (ask(client, "show backends"), ask(client, "show services")),
        "scrape": scrape,
    }
    for name, work in works.items():
        with Waiting(berthd) as waiting:
            time.sleep(0.05)
            work()
        say_ms(f"scale.stall.10000.{name}", waiting.longest, 20)


class Servers:
    """Accept connections at the addresses of ten backends, in a process of their own so that they are not late."""

    def __init__(self, stack):
        stack.callback(self.close)
        self.pid = None
        self.sockets = []
        for i in range(SERVERS):
            address = address_of(60001 + i)
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
            self.sockets.append(socket.create_server((address, PORT), backlog=512))
        self.numbers, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.numbers.close()
            try:
                self.serve(other)
            finally:
                os._exit(0)
        other.close()
        for one in self.sockets:
            one.close()

    def serve(self, numbers):
        ready = selectors.DefaultSelector()
        ready.register(numbers, selectors.EVENT_READ)
        for one in self.sockets:
            one.setblocking(False)
            ready.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is numbers:
                    number = numbers.recv(1)
                    if not number:
                        return
                    dead = self.sockets[number[0]]
                    ready.unregister(dead)
                    dead.close()
                    numbers.sendall(number)
                else:
                    with contextlib.suppress(OSError):
                        key.fileobj.accept()[0].close()

    def kill(self, number):
        """Returns when it died."""
        self.numbers.sendall(bytes([number]))
        self.numbers.recv(1)
        return time.monotonic()

    def close(self):
        if self.pid:
            self.numbers.close()
            os.waitpid(self.pid, 0)


def measure_failures(wanted, services):
    rows = ("scale.first_failure", "scale.second_failure", "scale.stall.3000")
    if not any(row.startswith(rows) for row in wanted):
        return
    with contextlib.ExitStack() as stack:
        servers = Servers(stack)
        berthd = Berthd(stack, configuration(services, SERVERS, "tcp"))
        berthd.start()
        berthd.await_line(r"/s\d+ is up", time.monotonic() + START_S, services * SERVERS)
        time.sleep(3)
        with Waiting(berthd) as waiting:
            died = [servers.kill(0)]
            time.sleep(BETWEEN_S)
            died.append(servers.kill(1))
            out = [berthd.await_line(rf"/s{i} is down", time.monotonic() + START_S, services) for i in (0, 1)]
            time.sleep(1)
        say_ms("scale.first_failure.3000", out[0] - died[0], 600)
        say_ms("scale.second_failure.3000", out[1] - died[1], 600)
        say_ms("scale.stall.3000.failures", waiting.longest, 20)


def tcp_counter(name):
    """Of this network namespace. A check of type tcp is no connection for a server: only berth-helper's are counted."""
    names, values = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp").read_text().splitlines()
                     if line.startswith("Tcp:")]
    return int(values[names.index(name)])


def measure_adopt(wanted, services, backends):
    """From the start of another berthd to the first health check. Half a second before, so that no connection of the
    former one is left."""
    if "scale.adopt.5000x10" not in wanted:
        return
    with contextlib.ExitStack() as stack:
        for line in ("link add scale0 type veth peer name scale1", "link set scale0 up", "link set scale1 up"):
            subprocess.run(["ip", *line.split()], check=True)
        Servers(stack)
        berthd = Berthd(stack, configuration(services, backends, "tcp", engine="xdp", interface="scale0"))
        stack.callback(lambda: ask(berthd.connect(), "shutdown"))
        berthd.start()
        berthd.await_line(r"/s\d+ is up", time.monotonic() + START_S, services * backends)
        berthd.stop(signal.SIGKILL)
        time.sleep(0.5)
        before, begin = tcp_counter("ActiveOpens"), time.monotonic()
        berthd.start()
        while tcp_counter("ActiveOpens") == before and time.monotonic() < begin + START_S:
            time.sleep(0.001)
        say_s("scale.adopt.5000x10", time.monotonic() - begin, 1)


class Listener:
    """Listens at a port of all addresses, in a process of its own."""

    def __init__(self, stack, port):
        listener = socket.create_server(("0.0.0.0", port), backlog=4096)
        self.pid = os.fork()
        if self.pid == 0:
            while True:  # a connection comes if a check waits for a processor for long
                with contextlib.suppress(OSError):
                    listener.accept()[0].close()
        listener.close()
        stack.callback(self.kill)

    def kill(self):
        """Returns when it died."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
        return time.monotonic()


def many_checks(services, backends):
    """A check for each backend; those of the last service are of another port, and their address is no other's."""
    lines = ["engine: 'null'", "interfaces: [{name: lo}]",
             f"limits: {{flows: 65536, sessions: 1024, services: {services}, backends: {services * backends}}}",
             "services:"]
    for i in range(services):
        listed = ", ".join(f"{{name: s{j}, address: {address_of(1 + i * backends + j)}}}" for j in range(backends))
        port = PORT + (i == services - 1)
        lines.append(f"- {{name: v{i}, address: 203.0.{i // 256}.{i % 256}, port: {PORT}, mode: ipip, health: "
                     f"{{type: tcp, port: {port}, interval: {MANY_INTERVAL_S}s, timeout: 500ms, rise: 1, "
                     f"fall: {FALL}}}, backends: [{listed}]}}")
    return "\n".join(lines) + "\n"


def processor_s(parent):
    """Processor time of a process and of its children."""
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if parent in (int(path.parent.name), int(fields[1])):
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measure_health(wanted, services, backends):
    """Processor time of berthd and its helpers beside that of the connections alone, then how long a service's servers are dead before each is found."""
    if not any(row.startswith("scale.health") for row in wanted):
        return
    with contextlib.ExitStack() as stack:
        subprocess.run("ip route add local 198.18.0.0/15 dev lo".split(), check=True)
        stack.callback(subprocess.run, "ip route del local 198.18.0.0/15 dev lo".split(), check=True)
        _, last = Listener(stack, PORT), Listener(stack, PORT + 1)
        bare = float(subprocess.check_output([BUILD / "tests/bench/connections", str(PORT), "40000"], timeout=START_S))
        berthd = Berthd(stack, many_checks(services, backends))
        berthd.start()
        berthd.await_line(r"/s\d+ is up", time.monotonic() + START_S, services * backends)
        begin, used, before = time.monotonic(), processor_s(berthd.process.pid), tcp_counter("EstabResets")
        time.sleep(MANY_S)
        passed = time.monotonic() - begin
        share = (processor_s(berthd.process.pid) - used) / passed
        checks = tcp_counter("EstabResets") - before
        in_time = checks * MANY_INTERVAL_S / passed / (services * backends)
        each = share * passed / checks * 1e6
        # Checks that come late cost less.
        say("scale.health.20000", round(share * 100), "% of a core", baseline="the same connections, bare",
            baseline_value=round(bare * checks / passed / 1e4), ratio=round(each / bare, 2), goal="at most 50",
            met=share <= 0.5 and in_time > 0.95)
        say("scale.health.20000.in_time", round(in_time, 2), "of the checks", goal="at least 0.95", met=in_time > 0.95)
        died = last.kill()
        found = berthd.await_line(rf"v{services - 1}/s\d+ is down", time.monotonic() + START_S, backends) - died
        say_s("scale.health.20000.found", found, (FALL + 1) * MANY_INTERVAL_S)


def measure(stack, wanted, quick):
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise Failed(f"no network namespace: {os.strerror(ctypes.get_errno())}; run as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    share = 10 if quick else 1
    measure_start(wanted, "scale.start.10000x6", 10000 // share, 6, 5)
    measure_start(wanted, "scale.start.1x60000", 1, 60000 // share, 3)
    measure_many(wanted, 10000 // share, 6)
    measure_failures(wanted, 3000 // share)
    measure_adopt(wanted, 5000 // share, 10)
    measure_health(wanted, MANY_SERVICES // share, MANY_BACKENDS)


if __name__ == "__main__":
    main(lambda quick: ROWS, measure)
