# SPDX-License-Identifier: BSD-3-Clause
"""
What happens to a machine of the appliance: backends and processes end, its link and its NIC go and come back, it boots again.
Clients keep their backends meanwhile. test_appliance.py takes these tests when scripts/appliance runs it.
"""
import contextlib
import os
import re
import socket

import pytest

from guest import ANSWER_SECONDS, BOOT_SECONDS, ROOT, lab

CLIENTS = lab.CLIENTS4[:4]


def backends_of_clients(guest):
    return {client: guest.http("web", client, timeout=ANSWER_SECONDS)[1] for client in CLIENTS}


def health(guest, service, backend):
    with contextlib.suppress(AssertionError, ValueError, KeyError, StopIteration):
        return guest.backend(service, backend)["health"]


@pytest.fixture
def before(guest):
    """{client: backend}; the test ends with the same."""
    guest.wait_until_all_are_up()
    clients = backends_of_clients(guest)
    yield clients
    guest.wait_until_all_are_up()
    guest.wait_until_it_forwards()
    assert backends_of_clients(guest) == clients


def addresses_of(guest):
    """Of berth's interface; not their lifetimes, nor its number."""
    shown = guest.shell(f"ip -o address show {guest.port()}", check=False).stdout
    return sorted(re.findall(r"inet6? (\S+)", shown))


def pid(guest, name):
    return guest.shell(f"pidof {name}", check=False).stdout.split()


def test_a_backend_that_ends_is_found_down_and_one_that_returns_up(guest, before):
    backend = before[CLIENTS[0]]
    unaffected = [client for client in CLIENTS if before[client] != backend]
    guest.run("stop", backend)
    lab.wait_for(lambda: health(guest, "web", backend) == "down", ANSWER_SECONDS, "the check to fail")
    assert {client: guest.http("web", client, timeout=ANSWER_SECONDS)[1] for client in unaffected} == {
        client: before[client] for client in unaffected}
    guest.run("start", backend)
    lab.wait_for(lambda: health(guest, "web", backend) == "up", ANSWER_SECONDS, "the check to pass")


def test_clients_of_a_backend_that_drains_stay_and_new_ones_go_elsewhere(guest, before):
    backend = before[CLIENTS[0]]
    guest.ctl("backend", "drain", f"web/{backend}")
    try:
        assert backends_of_clients(guest) == before
        new = {guest.http("web", client, timeout=ANSWER_SECONDS)[1] for client in lab.CLIENTS4[10:16]}
        assert backend not in new
    finally:
        guest.ctl("backend", "enable", f"web/{backend}")


def test_a_killed_berthd_starts_again_and_a_connection_stays(guest, before):
    (old,) = pid(guest, "berthd")
    with contextlib.closing(guest.connect("web", timeout=ANSWER_SECONDS)) as sock:
        backend = lab.request(sock)[1]
        guest.shell(f"kill -KILL {old}")
        assert lab.request(sock)[1] == backend
        lab.wait_for(lambda: pid(guest, "berthd") not in ([], [old]), ANSWER_SECONDS, "another berthd")
        assert lab.request(sock)[1] == backend


def test_a_killed_engine_starts_again_and_a_connection_stays(guest, before):
    if guest.device.engine == "xdp":
        return  # no process that could end
    old = pid(guest, "berth-dpdk")
    addresses = addresses_of(guest)
    with contextlib.closing(guest.connect("web", timeout=ANSWER_SECONDS)) as sock:
        backend = lab.request(sock)[1]
        guest.shell(f"kill -KILL {' '.join(old)}")
        assert lab.request(sock)[1] == backend
    assert pid(guest, "berth-dpdk") not in ([], old)
    assert addresses_of(guest) == addresses


def test_a_link_that_was_down_forwards_again(guest, before):
    with contextlib.closing(guest.connect("web", timeout=ANSWER_SECONDS)) as sock:
        backend = lab.request(sock)[1]
        guest.qmp("set_link", name="nic0", up=False)
        lab.wait_for(lambda: health(guest, "web", "b1") == "down", ANSWER_SECONDS, "checks to fail")
        guest.qmp("set_link", name="nic0", up=True)
        # The first backend that is up again ends the panic (docs/configuration.md): others are not in use until they are up, too.
        guest.wait_until_all_are_up()
        assert lab.request(sock)[1] == backend


def test_a_nic_that_is_pulled_out_and_plugged_in_again_forwards(guest, before):
    if not guest.device.is_pcie:
        pytest.skip("QEMU has no port for it from which it could be pulled")
    addresses, berthd = addresses_of(guest), pid(guest, "berthd")
    with guest.generic(), contextlib.closing(guest.connect("web", timeout=ANSWER_SECONDS)) as sock:
        backend = lab.request(sock)[1]
        guest.unplug()
        lab.wait_for(lambda: guest.shown_port().get("link") == "absent", ANSWER_SECONDS, "the port to be shown as absent")
        assert guest.port() in guest.shown_port()["fault"]
        if guest.device.engine == "dpdk":
            assert addresses_of(guest) == addresses
        guest.plug()
        guest.wait_until_all_are_up()
        assert lab.request(sock)[1] == backend
        lab.wait_for(lambda: guest.shown_port().get("fault", "?") is None, ANSWER_SECONDS, "the fault to end")
        assert addresses_of(guest) == addresses and pid(guest, "berthd") == berthd


def test_more_descriptors_than_the_nic_has_are_cut_to_its_number_and_logged(guest, before):
    most = guest.device.most_descriptors
    if not most:
        return  # its driver takes any number, or the kernel has it
    guest.apply("s/^dpdk: {/&rx-ring: 8192, tx-ring: 8192, /")
    try:
        said = f"has queues of at most {most} and {most} descriptors: dpdk.rx-ring and dpdk.tx-ring (8192 and 8192) are cut to that"
        assert said in guest.log()
        guest.wait_until_it_forwards()
    finally:
        guest.apply("s/^dpdk: {.*idle/dpdk: {idle/")


def files_go_up_in_long_packets(guest):
    data = os.urandom(1_000_000)
    for service in ("web", "nat"):
        with contextlib.closing(guest.connect(service, timeout=ANSWER_SECONDS)) as sock:
            status, backend, _ = lab.request(sock, "PUT", "/files/long", data)
            assert status in (201, 204)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) > 8800
        assert (guest.state / backend / "files/long").read_bytes() == data
    # To and from the machine itself, not in fragments.
    guest.exec("router", "ping", "-c", 1, "-w", ANSWER_SECONDS, "-M", "do", "-s", 8972, "192.0.2.2", timeout=ANSWER_SECONDS + 5)


def test_packets_of_9000_bytes_are_forwarded_or_their_mtu_is_refused(guest, before):
    with guest.generic():
        done = guest.set_mtu(9000)
        if not guest.device.has_long_packets:
            assert done.returncode and "the former configuration is in force again" in done.stderr
            assert "cannot send and receive packets in several buffers; lower the MTU from 9000 to at most 2022" in done.stderr
            return
        assert done.returncode == 0, done.stderr
        guest.set_network_mtu(9000)
        try:
            guest.wait_until_all_are_up()
            files_go_up_in_long_packets(guest)
        finally:
            guest.set_mtu(guest.mtu)
            guest.set_network_mtu(guest.mtu)


def test_files_go_up_and_down_in_frames_of_the_ports_mtu(guest, before):
    """A tunnel packet that carries a client's largest packet is larger than 1,500 bytes."""
    data = os.urandom(1_000_000)
    with contextlib.closing(guest.connect("gue6", timeout=ANSWER_SECONDS)) as sock:
        status, backend, _ = lab.request(sock, "PUT", "/files/mtu", data)
        assert status in (201, 204)
    assert (guest.state / backend / "files/mtu").read_bytes() == data


def test_sessions_are_there_after_a_reboot(guest, before):
    def saved():
        text = guest.shell("berthctl show sessions", check=False).stdout
        return all(client in text for client in CLIENTS)
    lab.wait_for(saved, ANSWER_SECONDS, "sessions")
    boot = guest.says("cat /proc/sys/kernel/random/boot_id")
    # It saves them when it ends.
    guest.shell("systemctl reboot", check=False)
    guest.disconnect()

    def has_booted():
        answer = guest.shell("cat /proc/sys/kernel/random/boot_id", check=False, timeout=30)
        return answer.returncode == 0 and answer.stdout != boot
    lab.wait_for(has_booted, BOOT_SECONDS, "the machine to boot again")
    guest.wait_until_all_are_up(BOOT_SECONDS)
    assert "restored" in guest.log()


def test_ifupdown_gives_the_tap_its_addresses_when_it_appears(guest):
    """As docs/appliance.md says, in place of systemd-networkd."""
    if guest.device.engine == "xdp":
        return  # the interface is the kernel's, and there before berthd
    guide = (ROOT / "docs/appliance.md").read_text().partition("### Addresses of the TAP")[2].partition("\n##")[0]
    stanzas = re.findall(r"^    (.*)$", guide, re.MULTILINE)
    assert stanzas[0] == "# /etc/network/interfaces.d/berth0"
    addresses = addresses_of(guest)
    guest.shell("mount -o ro LABEL=BERTH /mnt && dpkg -i /mnt/ifupdown_*.deb && umount /mnt")
    guest.shell("rm /etc/systemd/network/20-berth.network && networkctl reload")
    guest.shell("cat >/etc/network/interfaces.d/berth0 <<'END'\n{}\nEND".format("\n".join(stanzas)))
    guest.shell("berthctl shutdown && systemctl stop berthd && ip link delete berth0 && systemctl start berthd", timeout=ANSWER_SECONDS)
    guest.wait_until_all_are_up()
    guest.wait_until_it_forwards()
    assert "berth0=berth0" in guest.says("ifquery --state") and addresses_of(guest) == addresses
