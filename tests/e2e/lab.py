# SPDX-License-Identifier: BSD-3-Clause
"""A lab (scripts/lab) and its operations for tests. Sockets are opened inside a host's network namespace and used from
this process, so that a real client is a few lines of Python."""
import contextlib
import copy
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import typing

import answers

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
BERTHD = BUILD / "controlplane/berthd"
BERTHCTL = BUILD / "controlplane/berthctl"
BERTH_DECAP = BUILD / "bpf/berth-decap"

SERVICE4, SERVICE6 = "203.0.113.10", "2001:db8:f::10"
CLIENT4, CLIENT6 = "198.51.100.10", "2001:db8:1::10"
CLIENTS4 = [CLIENT4] + [f"198.51.100.{i}" for i in range(101, 121)]
CLIENTS6 = [CLIENT6] + [f"2001:db8:1::{i}" for i in range(101, 121)]
OTHER4, OTHER6 = "198.51.100.20", "2001:db8:1::20"

# With service_yaml's checks a backend is down after two failed checks, 200 ms apart, with a timeout of 200 ms each; one
# check may have passed just before. The rest is a margin for a loaded machine.
HEALTH_SECONDS = 0.8 + 0.7

LAN4, LAN6 = "192.0.2.", "2001:db8:2::"
NAT4, NAT6 = "203.0.113.20", "2001:db8:f::20"
OWN4, OWN6 = "203.0.113.11", "2001:db8:f::11"


class Service(typing.NamedTuple):
    """A service of the configuration, and the address and port that test clients use."""
    address: str  # or a prefix
    protocol: str
    port: object  # a number, a range or "any"
    mode: str
    affinity: str
    lan: str  # the network of its backends
    asked: tuple = ()  # (address, port) of clients, if `address` is a prefix or `port` a range
    listens: int = None  # mode nat: the backends' own port

    @property
    def target(self):
        return self.asked or (self.address, self.port)

    @property
    def is6(self):
        return ":" in self.address

    def backend(self, number):
        """Address of a backend; in mode nat the one with berth as gateway."""
        return f"{self.lan}{(110 if self.mode == 'nat' else 10) + number}"

    @property
    def backends(self):
        """Addresses of all three backends."""
        return {self.backend(number) for number in (1, 2, 3)}


def twins(name, protocol, port, mode, affinity, at=(SERVICE4, SERVICE6), mixed=False, **more):
    """A service in IPv4 and its equal in IPv6. mixed: the backends are in the other family."""
    lans = (LAN6, LAN4) if mixed else (LAN4, LAN6)
    return {
        name: Service(at[0], protocol, port, mode, affinity, lans[0], **more),
        f"{name}6": Service(at[1], protocol, port, mode, affinity, lans[1], **more),
    }


# The services of most tests; more services need more time for their checks.
BASIC = {
    **twins("web", "tcp", 80, "l2", "client"),
    **twins("tunnel", "tcp", 8080, "ipip", "client"),
    **twins("mixed", "tcp", 8081, "ipip", "flow", mixed=True),
    **twins("dns", "udp", 5300, "l2", "flow"),
    **twins("dnstunnel", "udp", 5301, "ipip", "flow"),
}
SERVICES = {
    **BASIC,
    **twins("gue", "tcp", 8082, "gue", "client"),
    **twins("guemixed", "tcp", 8083, "gue", "flow", mixed=True),
    **twins("nat", "tcp", 80, "nat", "client", at=(NAT4, NAT6), listens=8080),
    **twins("plain", "tcp", 8081, "nat", "flow", at=(NAT4, NAT6)),
    "range": Service(SERVICE4, "tcp", "8080-8099", "gue", "flow", LAN4, asked=(SERVICE4, 8099)),
    "range6": Service(SERVICE6, "tcp", "8080-8099", "l2", "flow", LAN6, asked=(SERVICE6, 8099)),
    "any": Service(OWN4, "tcp", "any", "l2", "client", LAN4, asked=(OWN4, 8090)),
    "any6": Service(OWN6, "tcp", "any", "ipip", "client", LAN6, asked=(OWN6, 8090)),
    "prefix": Service("203.0.113.32/28", "tcp", 80, "ipip", "flow", LAN4, asked=("203.0.113.47", 80)),
    "prefix6": Service("2001:db8:f:0:32::/80", "tcp", 80, "l2", "flow", LAN6, asked=("2001:db8:f:0:32:1:2:3", 80)),
    **twins("dnsgue", "udp", 5302, "gue", "flow"),
    # The only UDP service of its addresses, so that fragments match it in any order.
    **twins("dnsclient", "udp", 5303, "ipip", "client", at=(OWN4, OWN6)),
    **twins("dnsnat", "udp", 53, "nat", "flow", at=(NAT4, NAT6), listens=5300),
    # No server listens on this port.
    **twins("closed", "udp", 54, "nat", "flow", at=(NAT4, NAT6), listens=5399),
}
TCP = [name for name, service in SERVICES.items() if service.protocol == "tcp"]
UDP = [name for name, service in SERVICES.items() if service.protocol == "udp" and service.listens != 5399]

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def wait_for(condition, seconds=5, what="it"):
    """Waits for a true value of condition() and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def service_yaml(name, service, backends):
    # Only BASIC services have to notice a failure at once.
    often = "interval: 200ms, timeout: 200ms, rise: 2" if name in BASIC else "interval: 1s, timeout: 1s, rise: 1"
    lines = [
        f"  - name: {name}",
        f'    address: "{service.address}"',
        f"    protocol: {service.protocol}",
        f"    port: {service.port}",
        f"    mode: {service.mode}",
        f"    affinity: {{by: {service.affinity}, prefix6: 128}}",
        f"    health: {{type: tcp, port: 80, {often}, fall: 2}}",
    ]
    if backends:
        lines.append("    backends:")
    port = f", port: {service.listens}" if service.listens else ""
    lines += [f'      - {{name: b{i}, address: "{service.backend(i)}"{port}}}' for i in backends]
    return lines


def config_yaml(engine, backends=(1, 2, 3), interfaces=("eth0",), services=BASIC, more=()):
    """The tests' configuration: the services (or those of SERVICES with these names), and one without backends."""
    lines = [
        f"engine: {engine}",
        "interfaces:",
        *(f"  - name: {name}" for name in interfaces),
        "dpdk: {idle: adaptive, memory-mb: 64}",
        "limits: {flows: 65536, sessions: 16384, services: 64, backends: 256}",
        *more,
        "services:",
    ]
    for name in services:
        lines += service_yaml(name, services[name] if isinstance(services, dict) else SERVICES[name], backends)
    lines += service_yaml("empty", Service(SERVICE4, "tcp", 81, "l2", "flow", LAN4), ())
    return "\n".join(lines) + "\n"


def previous_build():
    """The build directory of the previous release, which is built if need be."""
    done = subprocess.run([ROOT / "scripts/previous"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.splitlines()[-1])


def processes(lab, name):
    """The ids of the node's processes of this name."""
    pids = subprocess.run(["ip", "netns", "pids", f"berth-{lab.name}-{lab.host}"],
                          capture_output=True, text=True, check=True).stdout.split()
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(int(pid))
    return found


def engine_processes(lab):
    """Those of berth-dpdk, which berthd started and which has no pid file."""
    return processes(lab, "berth-dpdk")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Lab:
    def __init__(self, name, engine, build=BUILD):
        self.name = name
        self.engine = engine
        self.build = build  # whose berthd and berthctl the lab runs
        self.state = pathlib.Path("/run/berth-lab") / name
        self.config = None  # the configuration of up()
        self.of_node(1)

    def of_node(self, number):
        """Whose berthd this object asks."""
        mark = "" if number == 1 else number
        self.number = number
        self.host, self.process = f"berth{mark}", f"berthd{mark}"
        self.instance = f"berth-{self.name}" if number == 1 else f"berth-{self.name}-{number}"
        self.folder = self.state if number == 1 else self.state / self.host  # of its berthd
        self.socket_path = self.folder / f"{self.instance}.sock"

    # --- the lab itself ---

    def node(self, number):
        """The same lab with another node's berthd."""
        other = copy.copy(self)
        other.of_node(number)
        return other

    def run(self, command, *arguments, check=True, timeout=60):
        """scripts/lab COMMAND --name NAME ARGUMENTS"""
        done = subprocess.run(
            [ROOT / "scripts/lab", command, "--name", self.name, *(["--node", str(self.number)] if self.number > 1 else []),
             *map(str, arguments)],
            capture_output=True, text=True, timeout=timeout, env={**os.environ, "BERTH_BUILD": str(self.build)})
        assert not check or done.returncode == 0, f"lab {command}: {done.stdout}{done.stderr}"
        return done

    def up(self, config=None, ports=1, backends=3, lan_mtu=1600, nodes=1, ecmp="hash-threshold", bgp=None, store="none"):
        self.config = config
        arguments = ["--engine", self.engine, "--backends", backends, "--ports", ports, "--lan-mtu", lan_mtu,
                     "--nodes", nodes, "--ecmp", ecmp, *(["--bgp", bgp] if bgp else []), "--store", store]
        if config:
            path = pathlib.Path(f"/run/berth-lab-{self.name}.yaml")
            path.write_text(config)
            arguments += ["--config", path]
        try:
            self.run("up", *arguments)
        finally:
            if config:
                path.unlink()

    def down(self):
        refused = [line for log in self.state.glob("berthd*.log") for line in log.read_text().splitlines()
                   if "berth's filter" in line]
        self.run("down")
        assert not refused, refused

    def exec(self, host, *command, check=True, timeout=20, **more):
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/berth-{self.name}-{host}", "--", *map(str, command)],
            capture_output=True, text=True, timeout=timeout, **more)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def pid(self, process):
        """Process id of a process of the lab: "berthd", "b1-http"."""
        return int((self.state / f"{process}.pid").read_text().split()[0])

    def serves(self, backend):
        """True while the backend's servers run."""
        return (self.state / f"{backend}-http.pid").exists()

    def log_path(self):
        return self.state / f"{self.process}.log"

    def log(self):
        return self.log_path().read_text()

    # --- several nodes ---

    def route(self, *hops, ecmp=None):
        """The router's next hops: numbers of nodes, or "NODE=WEIGHT"."""
        self.run("route", *(["--ecmp", ecmp] if ecmp else []), *hops)

    def fail(self, how):
        """This node: "kill", "link" or "silent"."""
        self.run("fail", how)

    def returns(self):
        """This node's failure ends; berthd has found all backends up."""
        self.run("return")

    # --- berthctl ---

    def ctl(self, *arguments, check=True, timeout=10):
        return subprocess.run([self.build / "controlplane/berthctl", "-s", self.socket_path, *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout, check=check)

    def result(self, *arguments, check=True):
        """What a command says as JSON."""
        result, = answers.checked(arguments, self.ctl("-j", *arguments, check=check).stdout)
        return result

    def show(self, *what):
        return self.result("show", *what)

    def backend(self, service, backend):
        return next(b for b in self.show("backends", service)["backends"] if b["name"] == backend)

    def health(self, service, backend):
        return self.backend(service, backend)["health"]

    def packets(self, service):
        """{backend: packets forwarded to it}"""
        return {b["name"]: b["packets"] for b in self.show("backends", service)["backends"]}

    def totals(self):
        return self.show("stats")["packets"]

    def verdict(self, name):
        return self.show("stats")["verdicts"][name]["count"]

    def all_up(self, count=3, services=BASIC):
        backends = self.show("backends")["backends"]
        return all(b["health"] == "up" for b in backends) and len(backends) == count * len(services)

    def berthd_is_running(self):
        try:
            return "State:\tZ" not in pathlib.Path(f"/proc/{self.pid(self.process)}/status").read_text()
        except OSError:
            return False

    def end_berthd(self, how):
        os.kill(self.pid(self.process), how)
        wait_for(lambda: not self.berthd_is_running(), what="berthd to end")

    def kill_berthd(self):
        self.end_berthd(signal.SIGKILL)

    # --- real clients ---

    @contextlib.contextmanager
    def inside(self, host):
        """Sockets opened inside belong to the host's network namespace."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/berth-{self.name}-{host}", os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            if libc.setns(here, CLONE_NEWNET):
                os._exit(70)  # later commands would change the machine's own network
            os.close(there)
            os.close(here)

    def socket(self, source, kind=socket.SOCK_STREAM, timeout=3, port=0):
        host = "client2" if source in (OTHER4, OTHER6) else "client"
        with self.inside(host):
            sock = socket.socket(family_of(source), kind)
        sock.settimeout(timeout)
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((source, port))
        return sock

    def source_for(self, service):
        return CLIENT6 if SERVICES[service].is6 else CLIENT4

    def connect(self, service="web", source=None, timeout=3):
        sock = self.socket(source or self.source_for(service), timeout=timeout)
        try:
            sock.connect(SERVICES[service].target)
        except OSError:
            sock.close()
            raise
        return sock

    def http(self, service="web", source=None, method="GET", path="/", body=None, timeout=5):
        """(status, backend, body) of one request on a new connection."""
        with contextlib.closing(self.connect(service, source, timeout)) as sock:
            return request(sock, method, path, body)

    def backend_of(self, service="web", source=None):
        """The backend that answers a new connection."""
        return self.http(service, source)[1]

    def answered_by_one_backend(self, service="web", source=None, times=5):
        """The one backend that answers several new connections."""
        backends = {self.backend_of(service, source) for _ in range(times)}
        assert len(backends) == 1, f"{source} was answered by {backends}"
        return backends.pop()

    def backends_by_client(self, service="web", sources=CLIENTS4):
        """client: backend"""
        return {source: self.backend_of(service, source) for source in sources}

    def answers(self, service="web", source=None):
        """The backend that answers, or None; for polling during changes."""
        try:
            return self.http(service, source, timeout=1)[1]
        except OSError:
            return None

    @contextlib.contextmanager
    def clients_come(self, service="web", source=None):
        """Connections with a request, one after the other."""
        over = threading.Event()

        def connect():
            while not over.is_set():
                self.answers(service, source)
                time.sleep(0.05)

        thread = threading.Thread(target=connect)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def udp(self, service="dns", source=None):
        """A connected UDP socket: one flow."""
        sock = self.socket(source or self.source_for(service), socket.SOCK_DGRAM)
        sock.connect(SERVICES[service].target)
        return sock

    def flows_are_spread_and_kept(self, service):
        """60 flows of one client: each backend gets some, and each flow keeps its backend."""
        with contextlib.ExitStack() as stack:
            flows = [stack.enter_context(contextlib.closing(self.udp(service))) for _ in range(60)]
            first = [ask(flow)[0] for flow in flows]
            assert set(first) == {"b1", "b2", "b3"}
            for _ in range(3):
                assert [ask(flow)[0] for flow in flows] == first

    def checksum_errors(self, host):
        """Packets that the host's kernel dropped for their checksum."""
        counters = json.loads(self.exec(host, "nstat", "-azsj", *(
            f"{protocol}InCsumErrors" for protocol in ("IpExt", "Tcp", "Udp", "Udp6", "Icmp", "Icmp6"))).stdout)
        return sum(counters["kernel"].values())


def request(sock, method="GET", path="/", body=None):
    """One request on a connection: (status, backend, body)."""
    lines = [f"{method} {path} HTTP/1.1", "Host: berth", f"Content-Length: {len(body or b'')}", "", ""]
    sock.sendall("\r\n".join(lines).encode() + (body or b""))
    answer = http.client.HTTPResponse(sock, method=method)
    answer.begin()
    return answer.status, answer.headers["Berth-Backend"], answer.read()


def ask(sock, payload=b"hello"):
    """One UDP request: (backend, payload of the answer)."""
    sock.send(payload)
    name, _, echo = sock.recv(65535).partition(b" ")
    return name.decode(), echo


def sha256(data):
    return hashlib.sha256(data).hexdigest()
