# SPDX-License-Identifier: BSD-3-Clause
"""What routers learn of a node: the recipes of docs/announce.md with the real BIRD and the real FRR.

     berth: berthd -> table 200 -> BIRD or FRR -- BGP --> BIRD: router, which has no other route to the services
"""
import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time

import pytest

from conftest import PROCESS, lab_up
from lab import BASIC, SERVICE4, SERVICE6, config_yaml, engine_processes, wait_for
from routing import BIRD_TIMERS as TIMERS, FRR_TIMERS, bird, frr, graceful_shutdown, recipe

TABLE = 200
ROUTER = """
router id 192.0.2.1;
protocol device { }
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
protocol bgp berth {
  local 192.0.2.1 as 64513; neighbor 192.0.2.2 as 64512; TIMERS
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
"""
WEB = {name: BASIC[name] for name in ("web", "web6")}


def routes(lab, family=4):
    """The router's routes by BGP."""
    return lab.exec("router", "ip", f"-{family}", "route", "show", "proto", "bird").stdout


def is_announced(lab, address=SERVICE4):
    return bool(re.search(rf"^{re.escape(address)} .*(via|nexthop)", routes(lab, 6 if ":" in address else 4), re.M))


def own_routes(lab):
    return lab.exec("berth", "ip", "route", "show", "table", TABLE).stdout


@pytest.fixture(scope="module", name="lab")
def announcing_lab():
    text = config_yaml("xdp", services=WEB, more=[f"announce: {{table: {TABLE}, stop-wait: 2s}}"])
    # The last service has no backends.
    lab = lab_up(f"e2eannx{PROCESS}", "xdp", config=text + "    announce: false\n")
    for family, prefix in (("-4", "203.0.113.0/24"), ("-6", "2001:db8:f::/64")):
        lab.exec("router", "ip", family, "route", "del", prefix)
    yield lab
    lab.down()


def has_graceful_shutdown(lab, folder):
    """The router's route has the community."""
    return "(65535,0)" in lab.exec("router", "birdc", "-s", folder / "router.ctl", "show", "route", "all", f"{SERVICE4}/32").stdout


def test_frr_announces_what_is_ready_and_withdraws_a_drained_node(lab, tmp_path):
    """The first of the module: BIRD does not run yet on the node."""
    text = recipe("frr").replace("remote-as 64513\n", f"remote-as 64513\n{FRR_TIMERS}")
    lab.exec("berth", "ip", "address", "del", f"{SERVICE4}/32", "dev", "lo")
    with bird(lab, tmp_path, "router", ROUTER.replace("TIMERS", TIMERS)), frr(lab, "berth", text):
        wait_for(lambda: is_announced(lab), 10, "the route")
        assert lab.http()[0] == 200
        assert not has_graceful_shutdown(lab, tmp_path)
        program, *arguments = shlex.split(graceful_shutdown("FRR"))
        lab.exec("berth", program, "--vty_socket", lab.state / "berth-frr", *arguments)
        wait_for(lambda: has_graceful_shutdown(lab, tmp_path), 10, "the community")
        assert lab.http()[0] == 200
        lab.ctl("node", "drain")
        wait_for(lambda: not is_announced(lab), 3, "the withdrawal")
        lab.ctl("node", "enable")
        wait_for(lambda: is_announced(lab), 3, "the route")
        # A limit of FRR 8.4.
        lab.exec("berth", "ip", "address", "add", f"{SERVICE4}/32", "dev", "lo")
        wait_for(lambda: not is_announced(lab), 3, "the withdrawal of an address that the host has")


@pytest.fixture(scope="module", name="bgp")
def bgp_of_bird(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bird")
    berth = recipe("bird").replace("as 64513;\n", f"as 64513; {TIMERS}\n")
    with bird(lab, folder, "router", ROUTER.replace("TIMERS", TIMERS)), bird(lab, folder, "berth", berth):
        yield lab


def test_both_addresses_are_announced_after_the_start(bgp):
    assert bgp.ctl("wait", "ready", "--timeout", "10s").stdout == "ready: 2 services\n"
    wait_for(lambda: is_announced(bgp) and is_announced(bgp, SERVICE6), 10, "the routes")
    assert own_routes(bgp) == f"unreachable {SERVICE4} proto 150 \n"
    assert bgp.http()[0] == 200
    assert bgp.http("web6")[0] == 200


def test_a_drain_withdraws_the_routes_and_outlasts_berthd(bgp):
    wait_for(lambda: is_announced(bgp), 10, "the route")
    bgp.ctl("node", "drain")
    wait_for(lambda: not is_announced(bgp) and not is_announced(bgp, SERVICE6), 3, "the withdrawal")
    bgp.kill_berthd()
    bgp.run("berthd")
    answer = bgp.ctl("ready", check=False)
    assert (answer.returncode, answer.stdout) == (1, "drained by an operator; `berthctl node enable` ends it\n")
    assert own_routes(bgp) == ""
    assert bgp.ctl("node", "enable").stdout == "the node is ready\n"
    wait_for(lambda: is_announced(bgp) and is_announced(bgp, SERVICE6), 3, "the routes")


def test_the_routes_go_with_the_last_backend_and_come_back(bgp):
    wait_for(lambda: is_announced(bgp), 10, "the route")
    for backend in ("b1", "b2", "b3"):
        bgp.run("stop", backend)
    wait_for(lambda: not is_announced(bgp), 5, "the withdrawal")
    answer = bgp.ctl("ready", "web", check=False)
    assert answer.returncode == 1 and "web: 0 of 3 backends are eligible" in answer.stdout
    assert "not announced by this node: web: 0 of 3" in bgp.ctl("doctor", "web", check=False).stdout
    assert 'berth_service_announced{service="web"} 0' in bgp.ctl("show", "metrics").stdout
    for backend in ("b1", "b2", "b3"):
        bgp.run("start", backend)
    wait_for(lambda: is_announced(bgp), 5, "the route")


@contextlib.contextmanager
def news_of_routes(lab):
    """A list that gets what the kernel says about routes meanwhile."""
    news = []
    with subprocess.Popen(["nsenter", f"--net=/run/netns/berth-{lab.name}-berth", "ip", "monitor", "route"],
                          stdout=subprocess.PIPE, text=True) as monitor:
        try:
            yield news
        finally:
            monitor.terminate()
            news += monitor.stdout.readlines()


def test_a_killed_berthd_stays_announced_and_the_next_one_takes_the_route_over(bgp):
    wait_for(lambda: is_announced(bgp) and is_announced(bgp, SERVICE6), 10, "the routes")
    bgp.kill_berthd()
    assert own_routes(bgp) == f"unreachable {SERVICE4} proto 150 \n"
    assert bgp.http()[0] == 200
    with news_of_routes(bgp) as news:
        bgp.run("berthd")
        bgp.ctl("wait", "ready", "--timeout", "10s")
    assert f"table {TABLE}" not in "".join(news), news
    assert is_announced(bgp)
    bgp.exec("berth", "ip", "route", "del", SERVICE4, "table", TABLE)
    wait_for(lambda: own_routes(bgp) == f"unreachable {SERVICE4} proto 150 \n", 3, "the route to be put back")
    assert bgp.log().count("by another program and is added again") == 1


def test_a_shutdown_withdraws_the_routes_before_packets_stop(bgp):
    """The last of the module: berthd is gone."""
    wait_for(lambda: is_announced(bgp), 10, "the route")
    asked = threading.Thread(target=bgp.ctl, args=("shutdown",))
    asked.start()
    wait_for(lambda: not is_announced(bgp), 3, "the withdrawal")
    # A packet that comes by another way is still answered.
    bgp.exec("router", "ip", "route", "add", SERVICE4, "via", "192.0.2.2")
    assert bgp.http()[0] == 200
    assert "stopping: the engine ends soon" in bgp.ctl("ready", check=False).stdout
    begin = time.monotonic()
    asked.join()
    assert time.monotonic() - begin < 4
    wait_for(lambda: not bgp.berthd_is_running(), 5, "its end")


def with_idle(idle):
    text = config_yaml("dpdk", services={"web": WEB["web"]}, more=[f"announce: {{table: {TABLE}}}"])
    return text.replace("idle: adaptive", f"idle: {idle}") + "    announce: false\n"


@pytest.fixture(scope="module", name="dpdk")
def announcing_dpdk_lab():
    lab = lab_up(f"e2eannd{PROCESS}", "dpdk", config=with_idle("adaptive"))
    lab.ctl("wait", "ready", "--timeout", "10s")
    yield lab
    lab.down()


def apply(lab, config):
    path = lab.state / "new.yaml"
    path.write_text(config, encoding="utf-8")
    return lab.ctl("config", "apply", path)


def change_an_option(lab):
    # berth-dpdk says it when its ports are open.
    idle = wait_for(lambda: lab.show("engine").get("idle"), what="the option")
    apply(lab, with_idle("poll" if idle == "adaptive" else "adaptive"))


def kill(lab):
    os.kill(engine_processes(lab)[0], signal.SIGKILL)


@contextlib.contextmanager
def slow_restart(lab, how):
    """The next berth-dpdk does nothing meanwhile."""
    before = engine_processes(lab)
    change = threading.Thread(target=how, args=(lab,))
    change.start()
    pid = wait_for(lambda: [pid for pid in engine_processes(lab) if pid not in before], what="the next berth-dpdk")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        change.join()
        lab.ctl("wait", "ready", "--timeout", "10s")


@pytest.mark.parametrize("how", [change_an_option, kill])
def test_routes_stay_while_berth_dpdk_restarts(dpdk, how):
    with news_of_routes(dpdk) as news:
        with slow_restart(dpdk, how):
            time.sleep(1.8)
    assert f"table {TABLE}" not in "".join(news), news
    assert own_routes(dpdk)


@pytest.mark.parametrize("how", [change_an_option, kill])
def test_a_restart_that_takes_longer_than_three_seconds_withdraws_the_routes(dpdk, how):
    begin = time.monotonic()
    with slow_restart(dpdk, how):
        wait_for(lambda: not own_routes(dpdk), 6, "the withdrawal")
        assert time.monotonic() - begin > 2.5
    wait_for(lambda: own_routes(dpdk), 5, "the route")
    assert "alarm over: announced" in dpdk.log()


def test_a_third_end_within_a_minute_withdraws_the_routes_at_once(dpdk):
    wait_for(lambda: own_routes(dpdk), 5, "the route")
    for _ in range(3):
        before = engine_processes(dpdk)
        kill(dpdk)
        wait_for(lambda: engine_processes(dpdk) not in ([], before), what="the next berth-dpdk")
    with slow_restart(dpdk, kill):
        wait_for(lambda: not own_routes(dpdk), 1.5, "the withdrawal")
    wait_for(lambda: own_routes(dpdk), 5, "the route")
