# SPDX-License-Identifier: BSD-3-Clause
"""The life of flows: half-closed connections, mode nat with all ports, floods, a link that is lost for a moment. The
tables are small and the timeouts short."""
import contextlib
import socket
import threading
import time

import pytest

import lab as labs
from conftest import lab_up
from lab import CLIENT4, CLIENT6, LAN4, LAN6, NAT4, NAT6, Service, ask, family_of, twins, wait_for

TABLE_FLOWS = 4096
CLOSING_SECONDS = 2
SLOW_PORT = 9000
FLOWS = {
    **twins("half", "tcp", SLOW_PORT, "l2", "flow"),
    **twins("dns", "udp", 5300, "l2", "flow"),
    "any": Service(NAT4, "tcp", "any", "nat", "flow", LAN4, asked=(NAT4, SLOW_PORT)),
    "any6": Service(NAT6, "tcp", "any", "nat", "flow", LAN6, asked=(NAT6, SLOW_PORT)),
}


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    """With round-robin, a flow without an entry gets another backend with each packet."""
    timeouts = f"timeouts: {{closing: {CLOSING_SECONDS}s, closed: 1s}}"
    config = labs.config_yaml(request.param, services=FLOWS, more=[timeouts])
    config = config.replace("    affinity:", "    scheduler: round-robin\n    affinity:")
    config = config.replace("flows: 65536, sessions: 16384", f"flows: {TABLE_FLOWS}, sessions: {TABLE_FLOWS}")
    lab = lab_up(f"e2eflows{request.param}", request.param, config=config)
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
