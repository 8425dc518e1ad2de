# SPDX-License-Identifier: BSD-3-Clause
"""Floods: limits of new flows, of a service (`new-flows`) and of each of its sources; health checks through the flooded
port."""
import contextlib
import ctypes
import socket
import threading
import time

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

import lab as labs
from conftest import lab_up
from lab import CLIENT4, LAN4, SERVICE4, Service, wait_for
from wire import Cable, spoofed

LIMIT = 100  # per second, also at once
FLOOD_SECONDS = 4
FLOODED = {
    "web": Service(SERVICE4, "tcp", 80, "l2", "client", LAN4),
    "dns": Service(SERVICE4, "udp", 5300, "l2", "flow", LAN4),
}
LIMITS = {
    "web": f"{{source-limit: {LIMIT}, source-prefix4: 24, limit: {20 * LIMIT}}}",
    "dns": f"{{limit: {LIMIT}}}",
}


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    config = labs.config_yaml(request.param, services=FLOODED)
    for name, limits in LIMITS.items():
        config = config.replace(f"  - name: {name}\n", f"  - name: {name}\n    new-flows: {limits}\n")
    lab = lab_up(f"e2efloods{request.param}", request.param, config=config)
    wait_for(lambda: lab.all_up(services=FLOODED), 15, "the backends")
    yield lab
    lab.down()


def service(lab, name):
    return next(one for one in lab.show("services")["services"] if one["name"] == name)


class Flood:
    """Ten times LIMIT new flows a second, from a /24 or from anywhere, until it is ended."""

    def __init__(self, lab, packet, sources):
        cable = Cable(lab)
        self.ear = cable.ear()
        self.frame = bytes(cable.link / packet)
        self.sources = sources
        self.sent = 0
        self.seconds = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        # The source port makes the flow; what changes in it and the address makes the transport checksum wrong, so that no
        # backend answers.
        begin = time.monotonic()
        with self.ear as ear:
            while not self.is_over.is_set():
                due = (time.monotonic() - begin) * 10 * LIMIT
                while self.sent < due:
                    self.sent += 1
                    frame = spoofed(self.frame, self.sent % self.sources)
                    port = (1024 + self.sent // self.sources).to_bytes(2, "big")
                    with contextlib.suppress(OSError):  # the cable is full
                        ear.sock.send(frame[:34] + port + frame[36:])
                time.sleep(0.005)
        self.seconds = time.monotonic() - begin

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def accepted_by(lab, name, flood, work):
    """The new flows of the flood that were let in while work() ran; it returns the number of its own."""
    before = service(lab, name)["new_flows"]
    with flood:
        own = work()
    return service(lab, name)["new_flows"] - before - own


def test_a_flood_from_one_prefix_is_limited_and_an_honest_client_is_served(lab):
    def connect():
        end, n = time.monotonic() + FLOOD_SECONDS, 0
        while time.monotonic() < end:
            assert lab.http(source=CLIENT4)[0] == 200
            n += 1
            time.sleep(2 / LIMIT)  # within its own limit
        return n

    lost = lab.verdict("over_limit")
    flood = Flood(lab, IP(dst=SERVICE4) / TCP(dport=80, flags="S"), 256)
    accepted = accepted_by(lab, "web", flood, connect)
    allowed = LIMIT + LIMIT * flood.seconds
    assert 0.9 * allowed <= accepted <= 1.1 * allowed, (accepted, allowed)
    assert lab.verdict("over_limit") - lost == service(lab, "web")["limited_packets"] >= 5 * LIMIT
    wait_for(lambda: service(lab, "web")["alarm"] == "new flows over a limit (new-flows)", what="the alarm")
    assert "ALARM: web: new flows are over a limit" in lab.log()
    assert "web: new flows are over a limit" in lab.ctl("doctor", check=False).stdout
    wait_for(lambda: service(lab, "web")["alarm"] is None, 30, "its end")
    assert "alarm over: web: new flows are within the limits" in lab.log()


def test_a_service_lets_in_its_limit_and_known_flows_stay(lab):
    with contextlib.closing(lab.udp("dns", source=CLIENT4)) as known:
        first = labs.ask(known)[0]

        def talk():
            end = time.monotonic() + FLOOD_SECONDS
            while time.monotonic() < end:
                with contextlib.suppress(socket.timeout):  # the flood can fill a queue on the way
                    assert labs.ask(known)[0] == first
            return 0

        flood = Flood(lab, IP(dst=SERVICE4) / UDP(dport=5300) / Raw(b"flood"), 1 << 16)
        accepted = accepted_by(lab, "dns", flood, talk)
    allowed = LIMIT + LIMIT * flood.seconds
    assert 0.9 * allowed <= accepted <= 1.1 * allowed, (accepted, allowed)


class IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr"""
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("parts", ctypes.POINTER(IoVec)),
                ("n", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("length", ctypes.c_uint)]


def send_for(sock, frames, seconds):
    """Sends the frames again and again, as fast as half a core can. Returns how many were sent. With a whole core it would
    depend on the machine how many the kernel drops before the engine sees them, and answers among them."""
    libc = ctypes.CDLL(None, use_errno=True)
    kept = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
    parts = [IoVec(ctypes.addressof(one), len(frame)) for one, frame in zip(kept, frames)]
    messages = (Message * len(frames))(*[Message(parts=ctypes.pointer(part), n=1) for part in parts])
    end, sent = time.monotonic() + seconds, 0
    while (begin := time.monotonic()) < end:
        sent += max(libc.sendmmsg(sock.fileno(), messages, len(frames), 0), 0)
        time.sleep(time.monotonic() - begin)
    return sent


def test_a_flood_through_the_port_of_the_health_checks_takes_no_backend_down(lab):
    """Their answers come by the same queue: a check is 200 ms, and two that fail take a backend down."""
    cable = Cable(lab)
    frame = bytes(cable.link / IP(dst=SERVICE4) / TCP(dport=80, flags="A"))
    before, down = lab.totals()["received"], lab.log().count(" is down")
    with cable.ear() as ear:
        sent = send_for(ear.sock, [spoofed(frame, number) for number in range(512)], FLOOD_SECONDS)
    assert sent > 10000 and lab.totals()["received"] > before + sent // 2
    assert lab.log().count(" is down") == down
