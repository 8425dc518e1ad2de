# SPDX-License-Identifier: BSD-3-Clause
"""The life of flows: half-closed connections, mode nat with all ports, floods, a link that is lost for a moment. The
tables are small and the timeouts short."""
import contextlib
import glob
import os
import pathlib
import re
import socket
import threading
import time

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.packet import Raw

import lab as labs
from conftest import lab_up
from lab import CLIENT4, CLIENT6, LAN4, LAN6, NAT4, NAT6, SERVICE4, Service, ask, family_of, twins, wait_for
from wire import Cable, spoofed

TABLE_FLOWS = 4096
CLOSING_SECONDS = 2
SLOW_PORT = 9000
FLOWS = {
    **twins("half", "tcp", SLOW_PORT, "l2", "flow"),
    **twins("dns", "udp", 5300, "l2", "flow"),
    "datagrams": Service(SERVICE4, "udp", 5301, "l2", "flow", LAN4),
    "any": Service(NAT4, "tcp", "any", "nat", "flow", LAN4, asked=(NAT4, SLOW_PORT)),
    "any6": Service(NAT6, "tcp", "any", "nat", "flow", LAN6, asked=(NAT6, SLOW_PORT)),
}


def without_checks(config, *names):
    """Their backends are up, also on a busy machine under a flood."""
    parts = config.split("  - name: ")
    return "  - name: ".join(re.sub(r"health: {.*}", "health: {type: none}", part)
                             if part.partition("\n")[0] in names else part for part in parts)


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    """With round-robin, a flow without an entry gets another backend with each packet."""
    timeouts = f"timeouts: {{closing: {CLOSING_SECONDS}s, closed: 1s}}"
    config = labs.config_yaml(request.param, services=FLOWS, more=[timeouts])
    config = config.replace("    affinity:", "    scheduler: round-robin\n    affinity:")
    config = config.replace("flows: 65536, sessions: 16384", f"flows: {TABLE_FLOWS}, sessions: {TABLE_FLOWS}")
    lab = lab_up(f"e2eflows{request.param}", request.param, config=without_checks(config, "half", "datagrams"))
    yield lab
    lab.down()


def connect(lab, target, source):
    """A connection from one of the lab's addresses: (host, address)."""
    host, address = source
    with lab.inside(host):
        sock = socket.socket(family_of(address))
    sock.settimeout(5)
    sock.bind((address, 0))
    sock.connect(target)
    return sock


@contextlib.contextmanager
def server(lab, host, handle):
    """A TCP server on SLOW_PORT of the host, for both families: handle(connection) for each of its connections."""
    with lab.inside(host):
        listening = socket.create_server(("::", SLOW_PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            handle(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def read_all(sock):
    with contextlib.closing(sock):
        parts = list(iter(lambda: sock.recv(1000), b""))
    return b"".join(parts)


PARTS, PAUSE_SECONDS = 4, 1.5


def answer_slowly(connection):
    """The whole request first, up to the client's FIN."""
    connection.settimeout(10)
    while connection.recv(1000):
        pass
    for part in range(PARTS):
        time.sleep(PAUSE_SECONDS)
        connection.sendall(b"%d" % part)


def test_a_client_that_has_sent_its_fin_receives_for_longer_than_the_timeout_of_closing(lab):
    assert PARTS * PAUSE_SECONDS > 2 * CLOSING_SECONDS
    with contextlib.ExitStack() as stack:
        for host in ("b1", "b2", "b3"):
            stack.enter_context(server(lab, host, answer_slowly))
        socks = []
        for name in ("half", "half6", "any", "any6"):
            for _ in range(6):
                sock = connect(lab, FLOWS[name].target, ("client", CLIENT6 if FLOWS[name].is6 else CLIENT4))
                sock.sendall(b"a request")
                sock.shutdown(socket.SHUT_WR)
                socks.append(sock)
        assert [read_all(sock) for sock in socks] == [b"0123"] * len(socks)


def echo_peer(connection):
    connection.sendall(connection.getpeername()[0].encode())


@pytest.mark.parametrize("name, client", [("any", CLIENT4), ("any6", CLIENT6)])
def test_all_ports_of_a_nat_service_are_answered_from_its_address(lab, name, client):
    address = FLOWS[name].address
    with contextlib.ExitStack() as stack:
        for host in ("b1", "b2", "b3"):
            stack.enter_context(server(lab, host, echo_peer))
        # A connection accepts only packets from the address and port to which it was made.
        assert client in read_all(connect(lab, (address, SLOW_PORT), ("client", client))).decode()
    for port in (80, 8080, 8099):
        with contextlib.closing(connect(lab, (address, port), ("client", client))) as sock:
            assert labs.request(sock)[0] == 200


@pytest.mark.parametrize("client, own", [(CLIENT4, f"{LAN4}111"), (CLIENT6, f"{LAN6}111")])
def test_a_backend_of_a_nat_service_with_all_ports_opens_connections_itself(lab, client, own):
    before = lab.verdict("no_flow")
    with server(lab, "client", echo_peer):
        # The peer sees the backend's own address.
        assert own in read_all(connect(lab, (client, SLOW_PORT), ("b1", own))).decode()
    assert lab.verdict("no_flow") >= before + 3


@pytest.mark.parametrize("client, own", [(CLIENT4, f"{LAN4}111"), (CLIENT6, f"{LAN6}111")])
def test_a_client_reaches_a_backend_of_a_nat_service_with_all_ports_directly(lab, client, own):
    before = lab.verdict("no_flow")
    with server(lab, "b1", echo_peer):
        assert client in read_all(connect(lab, (own, SLOW_PORT), ("client", client))).decode()
    assert lab.verdict("no_flow") >= before + 3


LOSS_SECONDS = 2


@pytest.mark.parametrize("name", ["dns", "dns6"])
def test_a_link_that_is_lost_for_two_seconds_moves_no_flow(lab, name):
    """Its health checks run five times a second, and two that fail take a backend down."""
    with contextlib.ExitStack() as stack:
        flows = [stack.enter_context(contextlib.closing(lab.udp(name))) for _ in range(40)]
        first = [ask(flow)[0] for flow in flows]
        assert set(first) == {"b1", "b2", "b3"}
        lab.exec("router", "ip", "link", "set", "berth", "down")
        try:
            time.sleep(LOSS_SECONDS)
            assert {lab.health(name, backend) for backend in first} == {"up"}
        finally:
            lab.exec("router", "ip", "link", "set", "berth", "up")

        def is_answered():
            with contextlib.suppress(OSError):
                return ask(flows[0])

        wait_for(is_answered, what="the link")
        flows[0].settimeout(0.1)
        with contextlib.suppress(OSError):
            while True:
                flows[0].recv(100)  # answers to what is_answered() asked before
        flows[0].settimeout(3)
        assert [ask(flow)[0] for flow in flows] == first


# Packets of one tuple each. Their transport checksums become wrong with the source, so that no backend answers.
WEB, DATAGRAMS = FLOWS["half"].target, FLOWS["datagrams"].target
FLOODS = {
    "SYN": [IP(dst=WEB[0]) / TCP(dport=WEB[1], flags="S")],
    "ACK": [IP(dst=WEB[0]) / TCP(dport=WEB[1], flags="A")],
    "UDP": [IP(dst=DATAGRAMS[0]) / UDP(dport=DATAGRAMS[1]) / Raw(b"flood")],
    "fragments": fragment(IP(dst=DATAGRAMS[0], id=1) / UDP(dport=DATAGRAMS[1]) / Raw(b"f" * 64), 32)[:1],
    # The last one: its confirmed tuples leave no room for 5 seconds.
    "SYN and ACK": [IP(dst=WEB[0]) / TCP(dport=WEB[1], flags="S"), IP(dst=WEB[0]) / TCP(dport=WEB[1], flags="A")],
}
KERNEL = [IP(dst="192.0.2.2") / UDP(dport=9) / Raw(b"flood")]


def flood(cable, packets, which=0):
    """Ten times as many tuples as the flow table has words, others for each `which`."""
    frames = [bytes(cable.link / packet) for packet in packets]
    with cable.ear() as ear:
        for number in range(which * 10 * TABLE_FLOWS, (which + 1) * 10 * TABLE_FLOWS):
            for frame in frames:
                with contextlib.suppress(OSError):  # the cable is full
                    ear.sock.send(spoofed(frame, number))


def echo(connection):
    connection.settimeout(60)
    while data := connection.recv(1000):
        connection.sendall(data)


def udp_flow(lab):
    sock = lab.socket(CLIENT4, socket.SOCK_DGRAM)
    sock.connect(DATAGRAMS)
    return sock


def asked(flow):
    """The backend that answers; the flood can fill a queue on the way."""
    for _ in range(5):
        with contextlib.suppress(socket.timeout):
            return ask(flow)[0]
    raise AssertionError("five requests without an answer")


def is_echoed(sock):
    sock.sendall(b"hello")
    return sock.recv(1000) == b"hello"


def private_kib(lab):
    """Memory of berthd, the engine and the helpers that is not shared: {process id: KiB}"""
    found = {}
    for pid in [lab.pid("berthd"), *labs.engine_processes(lab)]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        found[pid] = int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])
    return found


def table_bytes(lab):
    """Bytes of the tables: BPF maps, or files of the segment."""
    maps = []
    for path in pathlib.Path(f"/proc/{lab.pid('berthd')}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a connection of a check that is over
            maps.append(path.read_text())
    locked = sum(int(size) for text in maps for size in re.findall(r"memlock:\s+(\d+)", text))
    segment = lab.show("engine").get("segment")
    files = glob.glob(f"{segment.removesuffix('.image')}.*") if segment else []
    return locked, {name: os.stat(name).st_size for name in files}


SLACK_KIB = 4096  # for buffers that the C library keeps


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_ends_no_connection_and_moves_no_flow(lab, kind):
    before = lab.totals()["received"]
    private, tables = private_kib(lab), table_bytes(lab)
    with contextlib.ExitStack() as stack:
        for host in ("b1", "b2", "b3"):
            stack.enter_context(server(lab, host, echo))
        socks = [stack.enter_context(contextlib.closing(connect(lab, WEB, ("client", CLIENT4)))) for _ in range(10)]
        flows = [stack.enter_context(contextlib.closing(udp_flow(lab))) for _ in range(20)]
        assert all(map(is_echoed, socks))
        asked_once = [asked(flow) for flow in flows]
        first = [asked(flow) for flow in flows]  # they are confirmed now
        assert first == asked_once
        flooding = threading.Thread(target=flood, args=(Cable(lab), FLOODS[kind], list(FLOODS).index(kind)))
        flooding.start()
        stack.callback(flooding.join)
        while flooding.is_alive():
            assert all(map(is_echoed, socks))
            assert [asked(flow) for flow in flows] == first
    assert lab.totals()["received"] > before + 5 * TABLE_FLOWS
    assert table_bytes(lab) == tables
    after = private_kib(lab)
    assert after.keys() == private.keys() and all(after[pid] <= private[pid] + SLACK_KIB for pid in after), (private, after)


def test_a_flood_for_the_kernel_takes_no_backend_down(lab):
    """The answers to health checks take the same way."""
    before = lab.totals()["passed"]
    down = lab.log().count("any/b1 is down")
    flood(Cable(lab), KERNEL)
    assert lab.totals()["passed"] > before + TABLE_FLOWS
    assert lab.log().count("any/b1 is down") == down
