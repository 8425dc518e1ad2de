# SPDX-License-Identifier: BSD-3-Clause
"""
A machine of the appliance forwards real requests in all modes and both families, and its port has the driver that suits it. The
fixture `guest` is that of the file which takes these tests.
"""
import contextlib
import os

import pytest

from guest import ANSWER_SECONDS, USED, Guest, lab

TCP = [name for name in USED if Guest.is_tcp(name)]
UDP = [name for name in USED if not Guest.is_tcp(name)]


def test_the_machine_forwards_and_the_doctor_finds_its_port_well(guest):
    guest.wait_until_it_forwards()
    assert guest.says("systemctl is-active berthd berth-appliance") == "active\nactive\n"
    # The lab's service `empty` is a problem, too.
    lab.wait_for(lambda: f"ok       {guest.port()}: " in guest.ctl("doctor", check=False).stdout, ANSWER_SECONDS, "a good port")


def test_the_port_has_the_driver_that_suits_the_machine(guest):
    if guest.device.engine == "xdp":
        assert "prog/xdp" in guest.says(f"ip link show {guest.port()}")
        return
    assert f"is bound to {guest.device.driver}" in guest.says("journalctl -o cat -u berth-bind")
    assert guest.says(f"readlink /sys/bus/pci/devices/{guest.pci_address()}/driver").strip().endswith(guest.device.driver)


@pytest.mark.parametrize("service", TCP)
def test_a_client_keeps_its_backend_and_files_go_up_and_down(guest, service):
    data = os.urandom(200_000)
    with contextlib.closing(guest.connect(service, timeout=ANSWER_SECONDS)) as sock:
        status, backend, _ = lab.request(sock, "PUT", f"/files/{service}", data)
        assert status in (201, 204)
        assert lab.sha256((guest.state / backend / "files" / service).read_bytes()) == lab.sha256(data)
        assert lab.sha256(lab.request(sock, path=f"/files/{service}")[2]) == lab.sha256(data)
    # Each of these services has affinity by client.
    assert guest.http(service, timeout=ANSWER_SECONDS)[1] == backend


@pytest.mark.parametrize("service", UDP)
def test_datagrams_are_answered(guest, service):
    with contextlib.closing(guest.udp(service)) as sock:
        def answer():
            with contextlib.suppress(TimeoutError):
                return lab.ask(sock, b"hello")[1] == b"hello"
        lab.wait_for(answer, ANSWER_SECONDS, "an answer")
