# SPDX-License-Identifier: BSD-3-Clause
"""What happens to berth while the clients talk. A fault is a method of Faults whose name is in FAULTS; it returns when
berth is as it was before, but for what is random in its configuration."""
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import time

import generated
import lab as labs
from clients import SERVICES
from lab import wait_for

VICTIM = "b3"  # the backend to which things happen that move or break what is on it
SETTLED = 30  # seconds in which everything must be answered again
NAT = [name for name in sorted(SERVICES) if labs.SERVICES[name].mode == "nat"]
FLOOD_PACKETS = 160000  # ten times the smallest flow table

HEALTH = "health: {type: tcp, port: 80, interval: 500ms, timeout: 2s, rise: 1, fall: 3}"


class Settings:
    """The configuration, of keys that the previous release has too."""

    def __init__(self, engine, services=SERVICES):
        self.engine = engine
        self.services = services
        self.more = []  # lines of the configuration
        # Of the sizes of tables: for flows of the generator.
        self.scale = 4 if set(services) & set(generated.SERVICES) else 1
        self.limits = {"flows": 65536 * self.scale, "sessions": 16384 * self.scale, "services": 64, "backends": 256}
        self.memory_mb = 64
        self.table_size = 251
        self.weight = 10
        self.without = set()  # backends
        self.half_open = "3s"

    def service(self, name):
        service = labs.SERVICES.get(name) or generated.SERVICES[name]
        port = f", port: {service.listens}" if service.listens else ""
        yield f"  - name: {name}"
        yield f'    address: "{service.address}"'
        yield f"    protocol: {service.protocol}"
        yield f"    port: {service.port}"
        yield f"    mode: {service.mode}"
        yield f"    affinity: {{by: {service.affinity}, prefix6: 128}}"
        yield f"    table-size: {self.table_size}"
        yield f"    {HEALTH}"
        if name in generated.SERVICES:
            yield f"    timeouts: {generated.TIMEOUTS}"
        yield "    backends:"
        for number in (1, 2, 3):
            if f"b{number}" not in self.without:
                weight = self.weight if number == 3 else 10
                yield f'      - {{name: b{number}, address: "{service.backend(number)}"{port}, weight: {weight}}}'

    def yaml(self):
        limits = ", ".join(f"{name}: {value}" for name, value in self.limits.items())
        lines = [*self.more, f"engine: {self.engine}", "interfaces: [{name: eth0}]", f"dpdk: {{idle: adaptive, memory-mb: {self.memory_mb}}}",
                 f"limits: {{{limits}}}", f"timeouts: {{half-open: {self.half_open}, closing: 1s, unreplied: 3s}}", "services:"]
        for name in sorted(self.services):
            lines += self.service(name)
        return "\n".join(lines) + "\n"


class Faults:
    def __init__(self, lab, crowd, settings, seed):
        self.lab = lab
        self.crowd = crowd
        self.settings = settings
        self.engine = settings.engine  # at the end again
        self.random = random.Random(seed)
        self.back = None  # brings the victim back
        self.done = {}
        self.newest = "the start"
        self.limits_in_force = dict(settings.limits)

    # --- what faults are made of ---

    def apply(self):
        path = self.lab.folder / "faults.yaml"
        path.write_text(self.settings.yaml())
        # Sessions that are half there keep a former table for seconds. A busy machine takes seconds to publish.
        for _ in range(20):
            done = self.lab.ctl("config", "apply", path, check=False, timeout=SETTLED)
            if not re.search("try again in a few seconds|pending, not in force yet", done.stderr + done.stdout):
                break
            time.sleep(1)
        # After a flood the entries may need the size that the tables have: it stays, and so do the limits.
        if re.search("(would not|not all) find room", done.stderr):
            self.settings.limits = dict(self.limits_in_force)
            return
        assert done.returncode == 0, f"config apply: {done.stdout}{done.stderr}"
        self.limits_in_force = dict(self.settings.limits)

    def ctl(self, *command):
        done = self.lab.ctl(*command, check=False, timeout=SETTLED)
        assert done.returncode == 0, f"berthctl {command}: {done.stdout}{done.stderr}"

    def engine_pids(self):
        return labs.engine_processes(self.lab)

    def start_berthd(self):
        """With the configuration that was applied last."""
        self.write_settings()
        self.lab.run("berthd")

    def write_settings(self):
        (self.lab.folder / "berth.yaml").write_text(self.settings.yaml())
        self.limits_in_force = dict(self.settings.limits)

    def goes_on(self):
        """Waits until every client was answered anew."""
        self.crowd.mark()
        try:
            wait_for(lambda: not self.crowd.state()[1], SETTLED, "answers")
        except AssertionError as error:
            raise AssertionError(f"{error}: none for {self.crowd.state()[1]}") from None

    def make(self, name):
        self.newest = name
        getattr(self, name)()
        self.done[name] = self.done.get(name, 0) + 1

    def nodes(self):
        """The Faults of each berthd."""
        return [self]

    def ends(self):
        """Everything is as it was at the start."""
        if self.back:
            self.make("victim")
        for node in self.nodes():
            if node.settings.engine != node.engine:
                node.make("other_engine")
        self.goes_on()

    def moved(self):
        """What a change of the backends is allowed to cost: nothing."""
        return ()

    # --- processes ---

    def kill_berthd(self):
        self.lab.end_berthd(signal.SIGKILL)
        time.sleep(self.random.choice((0, 0.1, 0.5)))
        self.start_berthd()

    def end_berthd(self):
        self.lab.end_berthd(signal.SIGTERM)
        self.start_berthd()

    @contextlib.contextmanager
    def without_engine(self):
        """While berth-dpdk does not run, the kernel has its AF_XDP port, and forwards what servers of mode nat answer as it
        is: their clients reset those connections. No kernel has a PCI port."""
        if self.settings.engine == "dpdk" or self.engine_pids():
            self.crowd.excuse(*NAT)
        yield
        self.goes_on()
        self.crowd.hold(*NAT)

    def kill_engine(self):
        if self.settings.engine == "xdp":
            return  # it has no process
        with self.without_engine():
            before = self.engine_pids()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(self.engine_pids()) == 1 and self.engine_pids() != before, SETTLED, "another berth-dpdk")

    def helper_pids(self):
        return set(labs.processes(self.lab, "berth-helper"))

    def kill_helpers(self):
        """Of probes and of DNS."""
        wait_for(lambda: len(self.helper_pids()) == 2, SETTLED, "both helpers")
        before = self.helper_pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(now := self.helper_pids()) == 2 and not now & before, SETTLED, "new helpers")

    def kill_both(self):
        with self.without_engine():
            self.lab.end_berthd(signal.SIGKILL)
            for pid in self.engine_pids():
                os.kill(pid, signal.SIGKILL)
            self.start_berthd()

    # --- configuration ---

    def applies(self):
        """Twenty, of what does not touch the engine."""
        for _ in range(20):
            self.settings.weight = self.random.randint(1, 100)
            self.settings.half_open = f"{self.random.randint(2, 5)}s"
            self.apply()

    def engine_options(self):
        self.settings.memory_mb = {64: 80, 80: 64}[self.settings.memory_mb]
        with self.without_engine():
            self.apply()

    def restart(self):
        self.lab.end_berthd(self.random.choice((signal.SIGTERM, signal.SIGKILL)))
        self.start_berthd()

    def change(self):
        """Of the engine or its tables."""
        with self.without_engine():
            self.random.choice((self.restart, self.apply, self.apply))()

    def resize(self):
        self.settings.limits["flows"] = self.random.choice((16384, 32768, 65536, 131072)) * self.settings.scale
        self.settings.limits["sessions"] = self.random.choice((4096, 8192, 16384, 32768)) * self.settings.scale
        self.change()

    def limits(self):
        self.settings.limits["services"] = self.random.choice((32, 64, 128))
        self.settings.limits["backends"] = self.random.choice((128, 256, 512))
        self.change()

    def selection_tables(self):
        self.settings.table_size = self.random.choice((127, 251, 509, 1021, 4093))
        self.change()

    def other_engine(self):
        self.settings.engine = {"xdp": "dpdk", "dpdk": "xdp"}[self.settings.engine]
        self.change()

    def becomes(self, build):
        """The release of another build directory."""
        with self.without_engine():
            self.lab.end_berthd(self.random.choice((signal.SIGTERM, signal.SIGKILL)))
            self.lab.build = build
            self.start_berthd()

    def downgrade(self):
        """To the previous release, and back."""
        self.becomes(labs.previous_build())
        self.becomes(labs.BUILD)

    # --- the network ---

    def link_loss(self):
        """Of berth's only link."""
        self.link("down")
        time.sleep(self.random.uniform(0.2, 2))
        self.link("up")

    def link(self, state):
        self.lab.exec("router", "ip", "link", "set", self.lab.host, state)

    def flood(self):
        flood(self.lab, self.random, self.random.choice(list(FLOODS)))

    # --- files ---

    def damage(self):
        """Of what an operator set. Costs that alone, and nothing is set."""
        self.lab.end_berthd(signal.SIGKILL)
        for path in self.lab.folder.glob("*/operator.json"):
            data = bytearray(path.read_bytes())
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            path.write_bytes(data)
        self.start_berthd()

    # --- servers: what happens to the victim is allowed to hurt what is on it ---

    def victim(self):
        """Leaves or returns."""
        if self.back:
            self.back()
            self.back = None
            self.all_up()
            self.goes_on()
            self.crowd.hold(VICTIM)
        else:
            self.crowd.excuse(VICTIM)
            self.back = self.random.choice((self.stopped, self.disabled, self.drained, self.removed))()

    def all_up(self):
        wait_for(lambda: self.lab.all_up(3 - len(self.settings.without), self.settings.services), SETTLED, "its health")

    def stopped(self):
        self.lab.run("stop", VICTIM)
        return lambda: self.lab.run("start", VICTIM)

    def on_all(self, *command):
        for name in self.settings.services:
            self.ctl("backend", *command, f"{name}/{VICTIM}")

    def disabled(self):
        self.on_all("disable")
        return lambda: self.on_all("enable")

    def drained(self):
        self.on_all("drain")
        return lambda: self.on_all("enable")

    def removed(self):
        self.settings.without = {VICTIM}
        self.apply()

        def returns():
            self.settings.without = set()
            self.apply()
        return returns


EVERYWHERE = ["kill_berthd", "end_berthd", "kill_both", "kill_helpers", "applies", "link_loss", "flood", "damage", "victim",
              "resize", "limits", "selection_tables", "other_engine", "downgrade"]
FAULTS = {"xdp": EVERYWHERE, "dpdk": [*EVERYWHERE, "kill_engine", "engine_options"]}


# --- floods: frames from spoofed addresses, from the client's host to the services ---

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def ipv4(source, protocol, length, identity, fragment=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, identity, fragment, 64, protocol, 0, source,
                       socket.inet_aton(labs.SERVICE4))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


def tcp(flags, ports):
    def packet(rand, source):
        return ipv4(source, 6, 20, 0) + struct.pack("!HHIIBBHHH", rand.randint(1024, 65535), rand.choice(ports), 1, 1, 0x50,
                                                    flags, 8192, 0, 0)
    return packet


def udp(rand, source):
    return ipv4(source, 17, 12, 0) + struct.pack("!HHHH", rand.randint(1024, 65535), 5300, 12, 0) + b"hell"


def fragment(rand, source):
    first = rand.random() < 0.5
    return (ipv4(source, 17, 16, rand.randint(0, 65535), 0x2000 if first else 2)
            + struct.pack("!HHHH", rand.randint(1024, 65535), 5300, 24, 0) + b"hello..!")


FLOODS = {"syn": tcp(2, (80, 8080)), "ack": tcp(16, (80, 8080)), "syn-ack": tcp(18, (80, 8080)), "udp": udp,
          "fragments": fragment}


def flood(lab, rand, kind, packets=FLOOD_PACKETS):
    """Checksums of TCP are wrong: berth does not check them, and no backend has to answer."""
    with lab.inside("client"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind(("eth0", 0))
    router = lab.exec("client", "ip", "-j", "neigh", "show", "198.51.100.1").stdout
    mac = bytes.fromhex(json.loads(router)[0]["lladdr"].replace(":", ""))
    head = mac + bytes.fromhex("020000000001") + b"\x08\x00"
    with contextlib.closing(sock):
        for _ in range(packets):
            with contextlib.suppress(OSError):  # a full queue
                sock.send(head + FLOODS[kind](rand, b"\xc6\x12" + rand.randbytes(2)))
