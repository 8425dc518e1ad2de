# SPDX-License-Identifier: BSD-3-Clause
"""
The image of scripts/appliance, from power-on: it finds its configuration, gives its port to a driver, and forwards real
requests in all modes and both families through each NIC. scripts/appliance test chooses the devices, and adds events.py.
"""
import contextlib
import os

import pytest

from devices import DEVICES
from guest import ANSWER_SECONDS, USED, Guest, lab

TCP = [name for name in USED if Guest.is_tcp(name)]
UDP = [name for name in USED if not Guest.is_tcp(name)]
CHOSEN = os.environ.get("BERTH_DEVICES", "virtio-net-vfio virtio-net-xdp").split()


@pytest.fixture(scope="module", params=CHOSEN)
def guest(request):
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    guest = Guest("app" + request.param.replace("-", ""), DEVICES[request.param])
    guest.down()
    try:
        guest.run("up", "--engine", "none", "--lan-mtu", guest.mtu, "--backends", 3)
        guest.boot()
        guest.wait_until_all_are_up()
        yield guest
    finally:
        guest.end()
        guest.down()


def test_a_machine_that_is_switched_on_forwards(guest):
    guest.wait_until_it_forwards()
    assert guest.says("systemctl is-active berthd berth-appliance") == "active\nactive\n"
    # The lab's service `empty` is a problem, too.
    assert f"ok       {guest.port()}: " in guest.shell("berthctl doctor", check=False).stdout


def test_the_port_has_the_driver_that_suits_the_machine(guest):
    if guest.device.engine == "xdp":
        assert "prog/xdp" in guest.says(f"ip link show {guest.port()}")
        return
    assert f"is bound to {guest.device.driver}" in guest.says("journalctl -o cat -u berth-bind")
    address = "0000:01:00.0" if guest.device.is_pcie else "0000:00:06.0"
    assert guest.says(f"readlink /sys/bus/pci/devices/{address}/driver").strip().endswith(guest.device.driver)


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


if "BERTH_DEVICES" in os.environ:  # scripts/appliance
    from events import *  # noqa: E402,F401,F403
