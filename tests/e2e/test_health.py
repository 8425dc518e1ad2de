# SPDX-License-Identifier: BSD-3-Clause
"""Health checks against real servers, good and hostile ones: berthd with the null engine in a network namespace, one
service for each server."""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from answers import checked
import lab as lab_module
from conftest import lab_up
from lab import BERTHCTL, BERTHD, CLONE_NEWNET, SERVICE4, SERVICES, config_yaml, libc, wait_for

NAME = "berth-health"
NETNS = pathlib.Path("/run/netns") / NAME
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserver"
PROXIES = {f"{scheme}_proxy": "http://127.0.0.1:1" for scheme in ("http", "https", "all", "HTTP", "HTTPS", "ALL")}


@contextlib.contextmanager
def inside():
    """Sockets made here are the namespace's."""
    with open("/proc/thread-self/ns/net") as here, open(NETNS) as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(here.fileno(), CLONE_NEWNET) == 0


class Server:
    """Listens at an address and a port of its own, and does `behave(connection, server)` with each connection."""
    ports = iter(range(20000, 30000))

    def __init__(self, behave, tls=None, address="127.0.0.1"):
        self.behave, self.tls, self.address, self.port = behave, tls, address, next(self.ports)
        self.requests, self.connections = [], 0
        with inside():
            self.listener = socket.create_server(
                (address, self.port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.behave(connection, self)

    def read_request(self, connection):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            piece = connection.recv(4096)
            if not piece:
                return False
            request += piece
        self.requests.append(request.decode())
        return True

    def close(self):
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
            self.listener.close()


def answers(answer):
    def behave(connection, server):
        if server.read_request(connection):
            connection.sendall(answer)
            connection.recv(1)  # until the other end closes
    return behave


def sends_for_ever(head, piece, pause=0.0):
    def behave(connection, server):
        server.read_request(connection)
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)
    return behave


def drips(connection, server):
    server.read_request(connection)
    for byte in OK:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def says_nothing(connection, server):
    server.read_request(connection)
    connection.recv(1)


def closes_at_once(connection, server):
    pass


def resets(connection, server):
    server.read_request(connection)
    connection.sendall(OK[:20])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def garbles_tls(connection, server):
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x40\x00" + os.urandom(0x4000))
    connection.recv(1)


def stalls_in_handshake(connection, server):
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x40\x00")
    connection.recv(1)


class Daemon:
    """berthd with services of one backend each."""

    def __init__(self, state):
        self.state, self.process = state, None

    def start(self, services, **env):
        config = self.state / "berth.yaml"
        config.write_text("\n".join(["engine: 'null'", "interfaces: [{name: lo}]", "services:"] + [
            f"- {{name: {name}, address: 203.0.113.{i + 1}, port: {port}, mode: ipip,"
            f" health: {{interval: 100ms, timeout: 400ms, rise: 1, fall: 1, {health}}},"
            f" backends: [{{name: b1, address: '{address}'}}]}}"
            for i, (name, address, port, health) in enumerate(services)]) + "\n")
        self.process = subprocess.Popen(
            ["nsenter", f"--net={NETNS}", BERTHD, "-c", config, "-r", self.state, "-d", self.state],
            stderr=open(self.state / "berthd.log", "w"), env=os.environ | env)
        wait_for(lambda: self.ctl("show", "services", check=False).returncode == 0, what="berthd")

    def ctl(self, *arguments, check=True):
        done = subprocess.run([BERTHCTL, "-s", self.state / "berth.sock", *arguments],
                              capture_output=True, text=True, timeout=10)
        assert not check or done.returncode == 0, done.stderr
        return done

    def backends(self):
        words = ("show", "backends")
        shown, = checked(words, self.ctl("-j", *words).stdout)
        return {backend["service"]: backend for backend in shown["backends"]}

    def wait_known(self):
        """All backends, once none is unknown."""
        def unknown():
            return [name for name, backend in self.backends().items() if backend["health"] == "unknown"]
        wait_for(lambda: not unknown(), what="checks of all")
        return self.backends()

    def resources(self):
        stat = pathlib.Path(f"/proc/{self.pid()}/status").read_text().split()
        return {"fds": len(os.listdir(f"/proc/{self.pid()}/fd")), "rss_kb": int(stat[stat.index("VmRSS:") + 1])}

    def pid(self):
        return self.process.pid  # nsenter becomes berthd

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(5)
            self.process = None


@pytest.fixture(scope="module", autouse=True)
def namespace():
    if os.geteuid() != 0:
        pytest.skip("needs root: a network namespace")
    subprocess.run(["ip", "netns", "del", NAME], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    subprocess.run(["ip", "-n", NAME, "link", "set", "lo", "up"], check=True)
    yield
    subprocess.run(["ip", "netns", "del", NAME], check=True)


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
def serve():
    """Makes servers that end with the test."""
    with contextlib.ExitStack() as stack:
        def make(*arguments, **more):
            server = Server(*arguments, **more)
            stack.callback(server.close)
            return server
        yield make


def of(name, server, health):
    return (name, server.address, server.port, health)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A CA, and of it certificates for shop.example.org and 127.0.0.1."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    at = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=at)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=berth test CA")
    for name, san in (("shop", "DNS:shop.example.org"), ("address", "IP:127.0.0.1")):
        (at / "ext").write_text(f"subjectAltName={san}\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", 2, "-extfile", "ext", "-out", f"{name}.pem")
    return at


def tls_of(certificates, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


def test_http_is_judged_by_status_and_body(daemon, serve):
    ok, down = serve(answers(OK)), serve(answers(b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n"))
    six = serve(answers(OK), address="::1")
    late = serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 60006\r\n\r\n" + b"s" * 60000 + b"erver!"))
    daemon.start([
        of("plain", ok, "type: http"),
        of("six", six, "type: http"),
        of("body", ok, "type: http, expect: {body: serve}"),
        of("late", late, "type: http, expect: {body: ssserver!}"),
        of("nobody", ok, "type: http, expect: {body: Server}"),
        of("sorry", down, "type: http"),
        of("liked", down, "type: http, expect: {status: [200, 500-503]}"),
        of("unliked", ok, "type: http, expect: {status: [201-299, 304]}"),
    ])
    backends = daemon.wait_known()
    assert {name: backend["health"] for name, backend in backends.items()} == {
        "plain": "up", "six": "up", "body": "up", "late": "up", "nobody": "down", "sorry": "down", "liked": "up",
        "unliked": "down"}
    assert backends["plain"]["health_reason"].startswith("status 200 in ")
    assert backends["sorry"]["health_reason"] == "status 503"
    assert backends["nobody"]["health_reason"] == \
        "status 200, expected text not found in the first 6 bytes of the body"


def test_the_request_is_as_configured(daemon, serve):
    get, head = serve(answers(OK)), serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"))
    daemon.start([of("get", get, "type: http, path: '/a/../b?c=%20', host: shop.example.org"),
                  of("head", head, "type: http, method: HEAD")])
    assert all(backend["health"] == "up" for backend in daemon.wait_known().values())
    lines = get.requests[0].split("\r\n")
    assert lines[0] == "GET /a/../b?c=%20 HTTP/1.1"
    assert "Host: shop.example.org" in lines and "Connection: close" in lines
    assert head.requests[0].startswith("HEAD / HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{head.port}\r\n" in head.requests[0]


def test_every_probe_is_a_connection_of_its_own_and_no_proxy_is_used(daemon, serve):
    server = serve(answers(OK))
    daemon.start([of("web", server, "type: http")], **PROXIES)
    assert daemon.wait_known()["web"]["health"] == "up"
    wait_for(lambda: len(server.requests) >= 5)
    assert server.connections - len(server.requests) in (0, 1)


def test_a_redirect_is_an_answer_and_not_followed(daemon, serve):
    target = serve(answers(OK))
    to = f"http://127.0.0.1:{target.port}/".encode()
    server = serve(answers(b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n"))
    daemon.start([of("down", server, "type: http"), of("up", server, "type: http, expect: {status: [302]}")])
    backends = daemon.wait_known()
    assert backends["down"]["health_reason"] == "status 302 (redirects are not followed)"
    assert backends["up"]["health"] == "up"
    assert target.connections == 0


# What the server does, whether it is up by then, and what is said of it.
HOSTILE = {
    "endless": (sends_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), True, "status 200 in "),
    "chunks": (sends_for_ever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 +
                              b"\r\n"), True, "status 200 in "),
    "headers": (sends_for_ever(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 100), False,
                "more than 32 KiB of headers"),
    "header": (sends_for_ever(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 4096), False, "a header of more than 100 KiB"),
    "status": (sends_for_ever(b"HTTP/1.1 200 ", b"x" * 4096), False, "a header of more than 100 KiB"),
    "continues": (sends_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), False, "more than 32 KiB of headers"),
    "slow": (sends_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", 0.1), False,
             "no complete response within 400 ms"),
    "drip": (drips, False, "no answer within 400 ms"),
    "silent": (says_nothing, False, "no answer within 400 ms"),
    "short": (lambda connection, server: server.read_request(connection) and
              connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nserver"), False,
              "transfer closed with 94 bytes remaining to read"),
    "negative": (answers(b"HTTP/1.1 200 OK\r\nContent-Length: -6\r\n\r\nserver"), False, "Invalid Content-Length: value"),
    "huge": (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nserver"), False, ""),
    "resets": (resets, False, ""),
    "closes": (closes_at_once, False, ""),
    "ssh": (lambda connection, server: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\xff\xfe"), False,
            "Received HTTP/0.9 when not allowed"),
    "binary": (lambda connection, server: connection.sendall(b"\0\x1b[2J\xff\xfe" * 1000), False, ""),
    "chunky": (answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"), False, ""),
}


def test_hostile_answers_are_bounded_and_delay_nobody(daemon, serve):
    good = serve(answers(OK))
    services = [of(name, serve(behave), "type: http") for name, (behave, _, _) in HOSTILE.items()]
    services += [of(f"{name}-https", serve(behave), "type: https, tls: {verify: false}") for name, behave in (
        ("garbled", garbles_tls), ("stalled", stalls_in_handshake), ("plain", answers(OK)), ("closed", closes_at_once))]
    daemon.start(services + [of("good", good, "type: http")])
    backends = daemon.wait_known()
    for name, (_, up, why) in HOSTILE.items():
        assert backends[name]["health"] == ("up" if up else "down"), backends[name]
        assert backends[name]["health_reason"].startswith(why), backends[name]
        assert backends[name]["health_reason"].isprintable()
    for name in ("garbled", "stalled", "plain", "closed"):
        assert backends[f"{name}-https"]["health"] == "down"
    assert backends["stalled-https"]["health_reason"] == "no answer within 400 ms"
    before = daemon.resources()
    started = len(good.requests)
    time.sleep(3)
    after = daemon.resources()
    # 30 rounds; the machine may be busy with others.
    assert len(good.requests) - started > 20
    assert daemon.backends()["good"]["health"] == "up"
    assert after["fds"] <= before["fds"] + len(services)
    assert after["rss_kb"] < before["rss_kb"] + 4096


def test_https_verifies_unless_told_not_to(daemon, serve, certificates):
    shop, address = (serve(answers(OK), tls=tls_of(certificates, name)) for name in ("shop", "address"))
    ca = f"ca: {certificates}/ca.pem"
    daemon.start([
        of("strict", shop, "type: https, host: shop.example.org"),
        of("trusting", shop, "type: https, tls: {verify: false}"),
        of("ca", shop, f"type: https, host: shop.example.org, tls: {{{ca}}}"),
        of("name", shop, f"type: https, tls: {{{ca}, name: shop.example.org}}"),
        of("other", shop, f"type: https, tls: {{{ca}, name: bank.example.org}}"),
        of("host", shop, f"type: https, host: bank.example.org, tls: {{{ca}, name: shop.example.org}}"),
        of("noname", shop, f"type: https, tls: {{{ca}}}"),
        of("address", address, f"type: https, tls: {{{ca}}}"),
    ], **PROXIES)
    health = {name: backend["health"] for name, backend in daemon.wait_known().items()}
    assert health == {"strict": "down", "trusting": "up", "ca": "up", "name": "up", "other": "down", "host": "up",
                      "noname": "down", "address": "up"}
    backends = daemon.backends()
    assert "certificate" in backends["strict"]["health_reason"]
    assert "bank.example.org" in backends["other"]["health_reason"]


def test_the_server_name_is_sent(daemon, serve, certificates):
    seen = set()
    context = tls_of(certificates, "shop")
    context.sni_callback = lambda connection, name, _: seen.add(name)
    server = serve(answers(OK), tls=context)
    daemon.start([of("web", server, "type: https, host: 'shop.example.org:8443', tls: {verify: false}")])
    assert daemon.wait_known()["web"]["health"] == "up"
    assert seen == {"shop.example.org"}
    assert "\r\nHost: shop.example.org:8443\r\n" in server.requests[0]


def test_a_missing_file_of_certificates_counts_as_failed(daemon, serve, certificates):
    server = serve(answers(OK), tls=tls_of(certificates, "shop"))
    daemon.start([of("web", server, "type: https, tls: {ca: /nonexistent/ca.pem}")])
    wait_for(lambda: "nonexistent" in daemon.backends()["web"]["health_reason"])
    backend = daemon.backends()["web"]
    assert (backend["health"], backend["health_error"]) == ("down", "misconfigured")


def test_a_server_in_two_services_gets_one_probe_and_one_verdict(daemon, serve):
    server = serve(answers(OK))
    daemon.start([of(f"web{i}", server, "type: http, expect: {body: server}") for i in range(20)])
    daemon.wait_known()
    before, start = server.connections, time.monotonic()
    time.sleep(1)
    assert server.connections - before <= (time.monotonic() - start) / 0.09 + 1
    server.close()
    wait_for(lambda: all(backend["health"] == "down" for backend in daemon.backends().values()))


def test_a_program_is_told_whom_it_checks_and_leaves_nothing_behind(daemon, tmp_path):
    check = tmp_path / "check"
    check.write_text('#!/bin/sh\ncat >/dev/null\nenv | sort >"$1/new.$$"\n'
                     'mv "$1/new.$$" "$1/$BERTH_SERVICE.$BERTH_BACKEND"\n'
                     'echo noise; echo noise >&2\n[ "$2" = up ] || exit 3\n')
    check.chmod(0o755)
    command = f"type: exec, user: root, command: [{check}, {tmp_path}, "
    daemon.start([("yes", "127.0.0.1", 80, command + "up]"), ("no", "127.0.0.1", 81, command + "'a b;c']"),
                  ("hangs", "127.0.0.1", 82, "type: exec, command: [/bin/sh, -c, 'sleep 987 & sleep 987']"),
                  ("other", "127.0.0.1", 84, "type: exec, command: [/bin/sh, -c, 'exit $(($(id -u) % 200))']"),
                  ("syslog", "127.0.0.1", 85, "type: exec, user: root, command: [/bin/dmesg, --syslog]"),
                  ("none", "127.0.0.1", 83, "type: exec, command: [/nonexistent/check]")], SECRET="1")
    wait_for(lambda: daemon.backends()["hangs"]["health"] == "down")
    backends = wait_for(lambda: (now := daemon.backends())["yes"]["health"] == "up" and now)
    assert backends["no"]["health_reason"] == "exited with status 3"
    assert backends["syslog"]["health_reason"].startswith("killed by signal 31: a system call")
    assert backends["other"]["health_reason"] == f"exited with status {65534 % 200}"  # nobody
    assert backends["hangs"]["health_reason"] == "no exit within 400 ms"
    assert (backends["none"]["health"], backends["none"]["health_error"]) == ("down", "misconfigured")
    assert "cannot run /nonexistent/check" in backends["none"]["health_reason"]
    reported = dict(line.split("=", 1) for line in (tmp_path / "yes.b1").read_text().splitlines())
    assert {key: reported[key] for key in reported if key.startswith("BERTH_")} == {
        "BERTH_SERVICE": "yes", "BERTH_BACKEND": "b1", "BERTH_ADDRESS": "127.0.0.1", "BERTH_PORT": "80"}
    assert "SECRET" not in reported
    assert "noise" not in (tmp_path / "berthd.log").read_text()
    daemon.stop()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "sleep 987" not in left


def test_health_can_be_forced(daemon, serve):
    server = serve(answers(OK))
    daemon.start([of("web", server, "type: http"), ("dead", "127.0.0.1", 9, "type: tcp")])
    daemon.wait_known()
    assert "is enabled and forced down (checks say up)" in daemon.ctl("backend", "health", "web/b1", "down").stdout
    daemon.ctl("backend", "health", "dead/b1", "up")
    time.sleep(0.5)  # the checks go on, and do not matter
    backends = daemon.backends()
    assert (backends["web"]["health"], backends["web"]["health_forced"], backends["web"]["eligibility"]) == \
        ("down", True, [])
    # It is on this host, so it has no next hop and gets no new clients.
    assert (backends["dead"]["health"], backends["dead"]["eligibility"]) == ("up", ["flows", "sessions"])
    assert "down (forced, checks: up)" in daemon.ctl("show", "backends").stdout
    # An apply is no reason to forget it.
    daemon.ctl("config", "apply", str(daemon.state / "berth.yaml"), "--no-save")
    assert daemon.backends()["web"]["health"] == "down"
    for name in ("web", "dead"):
        daemon.ctl("backend", "health", f"{name}/b1", "auto")
    assert {name: backend["health"] for name, backend in daemon.backends().items()} == {"web": "up", "dead": "down"}
    events = daemon.ctl("events", "--service", "web", "--since", "1m").stdout
    assert re.search(r"Z info    uid 0 pid \d+: backend health \"web/b1\" \"down\": ok service=web backend=b1\n", events)
    assert "Z info    web/b1 is up: status 200 in " in events and "dead/b1" not in events
    events = checked(["events"], daemon.ctl("-j", "events").stdout)
    assert ["warning", "dead", "b1"] in [[event["priority"], event["service"], event["backend"]] for event in events]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    refused = daemon.ctl("backend", "health", "web/b1", "sick", check=False)
    assert refused.returncode == 1 and "write up, down, or auto" in refused.stderr


# --- via: tunnel, in a lab of its own ---

TUNNELS = ["web", "tunnel", "mixed", "gue", "guemixed", "dns", "dnstunnel", "dnsgue"]


def tunnel_yaml(engine, interval="200ms"):
    """Each service is checked at its own address and port: HTTP where TCP, a datagram where UDP."""
    services = {name: SERVICES[name] for base in TUNNELS for name in (base, f"{base}6")}
    lines = []
    for line in config_yaml(engine, backends=(1, 2), services=services).splitlines():
        if "protocol:" in line:
            how = "type: udp, send: hello" if "udp" in line else "type: http"
        if "health:" in line:
            line = f"    health: {{{how}, via: tunnel, interval: {interval}, timeout: 1s, rise: 1, fall: 2}}"
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def tunnel_lab(request):
    lab = lab_up(f"e2ehealth{request.param}", request.param, config=tunnel_yaml(request.param), backends=2)
    yield lab
    lab.down()


def health_of(lab, backend):
    return {b["service"]: b["health"] for b in lab.show("backends")["backends"] if b["name"] == backend}


def test_checks_via_tunnel_see_what_clients_would(tunnel_lab):
    lab = tunnel_lab
    wait_for(lambda: set(health_of(lab, "b1").values()) | set(health_of(lab, "b2").values()) == {"up"}, 10,
             "all backends to be up")
    b1 = [b for b in lab.show("backends")["backends"] if b["name"] == "b1"]
    assert all(b["health_reason"].startswith("answered in " if b["service"].startswith("dns") else "status 200 in ")
               for b in b1), b1
    assert lab.answers("tunnel") and lab.answers("web6")
    # The service's address goes from b1: what direct checks would not notice.
    lab.exec("b1", "ip", "addr", "del", f"{SERVICE4}/32", "dev", "lo")
    try:
        wait_for(lambda: {name for name, health in health_of(lab, "b1").items() if health == "down"} ==
                 set(TUNNELS), 10, "services on IPv4 to be down on b1")
        assert set(health_of(lab, "b2").values()) == {"up"}
    finally:
        lab.exec("b1", "ip", "addr", "add", f"{SERVICE4}/32", "dev", "lo")
    wait_for(lambda: set(health_of(lab, "b1").values()) == {"up"}, 10, "b1 to be back")
    # So is its decapsulating program.
    lab.exec("b1", lab_module.BERTH_DECAP, "detach", "eth0")
    try:
        wait_for(lambda: {name for name, health in health_of(lab, "b1").items() if health == "up"} ==
                 {"web", "web6", "dns", "dns6"}, 10, "tunnels to be down on b1")
    finally:
        lab.exec("b1", lab_module.BERTH_DECAP, "attach", "eth0")
    wait_for(lambda: set(health_of(lab, "b1").values()) == {"up"}, 10, "b1 to be back")


def test_checks_via_tunnel_need_the_services_address_and_say_so(tunnel_lab):
    lab = tunnel_lab
    lab.exec("berth", "ip", "addr", "del", f"{SERVICE4}/32", "dev", "lo")
    try:
        wait_for(lambda: lab.backend("tunnel", "b1")["health_reason"] ==
                 f"a check via tunnel needs address {SERVICE4} on this host; fix: ip addr add {SERVICE4} dev lo")
        backend = lab.backend("tunnel", "b1")
        assert (backend["health"], backend["health_error"]) == ("up", "stale")
    finally:
        lab.exec("berth", "ip", "addr", "add", f"{SERVICE4}/32", "dev", "lo")


def test_checks_via_tunnel_leave_berths_own_network_as_it_was(tunnel_lab):
    lab = tunnel_lab
    for what in (["rule"], ["-6", "rule"], ["link"]):
        shown = lab.exec("berth", "ip", *what).stdout
        assert "probe" not in shown and "fwmark" not in shown
    # Their connections do not stay: those under way are few.
    for _ in range(5):
        left = [line for line in lab.exec("b1", "ss", "-Han", "--tcp").stdout.splitlines() if "LISTEN" not in line]
        assert len(left) <= 10, left  # as many as there are checks over TCP
        time.sleep(0.3)
