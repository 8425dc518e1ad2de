# SPDX-License-Identifier: BSD-3-Clause
"""berth-dpdk on an AF_XDP port at one end of a cable, and a network namespace at the other."""
import os
import pathlib
import tempfile

from engine import Engine, run, tool


def inside(namespace):
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def add_namespace(stack, name):
    run("ip", "netns", "add", name)
    stack.callback(run, "ip", "netns", "del", name)
    # No traffic of the kernel reaches an idle engine.
    run(*inside(name), "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; "
                                   "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")


class Cable:
    """A stopped engine, and a namespace with the other end of its cable as c0."""

    def __init__(self, stack, name, *options):
        name = f"berth-{name}-{os.getpid()}"
        self.other = name + "-c"
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=name, dir="/dev/shm")))
        for namespace in (name, self.other):
            add_namespace(stack, namespace)
        run("ip", "link", "add", "b0", "netns", name, "type", "veth", "peer", "name", "c0", "netns", self.other)
        run(*inside(name), "ip", "link", "set", "b0", "up")
        run(*inside(self.other), "ip", "link", "set", "c0", "up")
        tool("image", "make", directory / "image", directory / "pcap", 1)
        self.engine = Engine(stack, inside(name), directory, "b0", "--memory", 32, *options)
        self.engine.pause()
