# SPDX-License-Identifier: BSD-3-Clause
"""Mode nat: berth is the backends' gateway in both directions."""
import contextlib
import time

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether

from lab import CLIENT4, CLIENT6, NAT4, NAT6, SERVICES, ask, wait_for
from wire import Cable, Ear, datagram_to, ip_of


@pytest.fixture
def lab(full_lab):
    return full_lab


@pytest.mark.parametrize("service, port", [("nat", 8080), ("nat6", 8080), ("plain", 8081), ("plain6", 8081)])
def test_a_backend_gets_its_own_address_and_port_and_the_answer_has_the_services(lab, service, port):
    before = lab.verdict("returned")
    status, backend, asked = lab.http(service, path="/asked")
    number = int(backend[1:])
    assert (status, asked.decode().split()) == (200, [SERVICES[service].backend(number), str(port)])
    # SYN-ACK and answer at least; none through the kernel, because berth has the route to clients.
    assert lab.verdict("returned") >= before + 2


@pytest.mark.parametrize("address", [NAT4, NAT6])
@pytest.mark.parametrize("host", ["router", "b1"])
def test_a_client_on_berths_own_link_is_answered_through_the_kernel(lab, address, host):
    """Also a backend, unless it selects itself: its kernel accepts no packet from its own address."""
    before = lab.verdict("returned_pass")
    url = f"http://[{address}]:8081/" if ":" in address else f"http://{address}:8081/"
    asked = (lab.exec(host, "curl", "-s", "-m", 1, url, check=False).stdout.strip() for _ in range(20))
    assert next(filter(None, asked)) in {"b1", "b2", "b3"} - {host}
    assert lab.verdict("returned_pass") >= before + 2


@pytest.mark.parametrize("service", ["closed", "closed6"])
def test_a_backends_icmp_error_reaches_the_client_from_the_services_address(lab, service):
    with contextlib.closing(lab.udp(service)) as sock:
        sock.send(b"is there anybody?")
        # A connected socket gets only errors about its own packets, matched by ports.
        with pytest.raises(ConnectionRefusedError):
            sock.recv(100)


@pytest.mark.parametrize("service, client", [("dnsnat", CLIENT4), ("dnsnat6", CLIENT6)])
def test_a_clients_icmp_error_reaches_the_backend_and_quotes_its_own_packet(lab, service, client):
    with contextlib.closing(lab.udp(service)) as sock:
        backend = ask(sock)[0]
        sport = sock.getsockname()[1]
    # The same flow, of a client that is gone: its kernel answers the answer with "port unreachable".
    own = SERVICES[service].backend(int(backend[1:]))
    before = lab.verdict("icmp_error")

    def is_told(frame):
        packet = Ether(frame)
        ip = ip_of(packet)
        return ip is not None and (ICMP in ip or ICMPv6DestUnreach in ip) and ip.src == client

    with Ear(lab, backend) as ear:
        Cable(lab).send(datagram_to(service, sport, b"hello", client))
        frame = Ether(ear.first(is_told))
    assert lab.verdict("icmp_error") == before + 1
    outer = ip_of(frame)
    carried = (outer[ICMP] if ICMP in outer else outer[ICMPv6DestUnreach]).payload
    inner = (IPv6 if ":" in client else IP)(bytes(carried))
    assert outer.dst == own
    assert (inner.src, inner[UDP].sport, inner.dst, inner[UDP].dport) == (own, 5300, client, sport)
    assert lab.checksum_errors(backend) == 0


@pytest.mark.parametrize("source, client", [("192.0.2.111", CLIENT4), ("2001:db8:2::111", CLIENT6)])
def test_berths_kernel_forwards_a_backends_own_traffic_unchanged(lab, source, client):
    before = lab.verdict("not_tcp_udp")
    lab.exec("b1", "ping", "-c", 2, "-i", 0.2, "-W", 2, "-I", source, client)
    assert lab.verdict("not_tcp_udp") >= before + 2


@pytest.mark.parametrize("url", ["http://192.0.2.111:8080/", "http://[2001:db8:2::111]:8080/"])
def test_a_client_that_connects_to_a_backend_directly_is_answered_from_its_address(lab, url):
    """From the address and port of answers to clients of the services nat and nat6."""
    before = lab.verdict("no_flow")
    assert lab.exec("client", "curl", "-s", "-m", 5, url).stdout.strip() == "b1"
    assert lab.verdict("no_flow") >= before + 2


@pytest.mark.parametrize("service", ["nat", "nat6"])
def test_an_answer_to_a_health_check_is_not_rewritten_as_one_to_a_client(lab, tmp_path, service):
    """It has the address and port of answers to clients."""
    probing, again = tmp_path / "probing.yaml", tmp_path / "again.yaml"
    again.write_text(lab.config)
    head, tail = again.read_text().split(f"  - name: {service}\n")
    tail = tail.replace("port: 80, interval: 1s, timeout: 1s", "interval: 100ms, timeout: 100ms", 1)
    probing.write_text(f"{head}  - name: {service}\n{tail}")
    lab.ctl("config", "apply", probing, "--no-save")
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert lab.health(service, "b1") == "up"
            time.sleep(0.05)
        assert lab.backend(service, "b1")["health_reason"].startswith("connected")
    finally:
        lab.ctl("config", "apply", again, "--no-save")
        wait_for(lambda: lab.all_up(services=SERVICES), what="all backends to be up")


AMBIGUOUS = {
    "a prefix": (("port: 80\n    mode: ipip", "port: 80\n    mode: nat"), "prefix"),
    "a backend of two services": (('port: 8081\n    mode: nat', 'port: 8080\n    mode: nat'), "nat/b1"),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_a_configuration_with_ambiguous_answers_is_refused_with_the_reason(lab, tmp_path, what):
    change, reported = AMBIGUOUS[what]
    bad = tmp_path / "bad.yaml"
    bad.write_text(lab.config.replace(*change, 1))
    assert bad.read_text() != lab.config
    done = lab.ctl("config", "check", bad, check=False)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1 and reported in done.stderr


def test_the_times_of_connections_count_as_long_as_there_are_some(lab):
    def sources():
        return {b["response_from"] for b in lab.show("backends", "plain")["backends"]}

    def connect():
        for _ in range(100):
            lab.connect("plain").close()
        return sources() == {"connections"}

    with contextlib.ExitStack() as stack:
        stack.callback(lab.ctl, "config", "undo", "--no-save")
        lab.ctl("service", "set", "plain", "scheduler", "response-time", "health.half-life", "1s", "--no-save")
        wait_for(lambda: sources() == {"checks"}, seconds=20, what="times of the checks")
        wait_for(connect, seconds=60, what="times of connections")
        assert all(b["response_us"] < 1000000 for b in lab.show("backends", "plain")["backends"])
        wait_for(lambda: sources() == {"checks"}, seconds=60, what="times of the checks")
