# SPDX-License-Identifier: BSD-3-Clause
"""The product as a user installs it: built from a clean tree with --prefix=/usr and started from there.

/usr is an overlay in a mount namespace of the test: the installed files above the machine's own. So nothing of the
build tree is near them, and the machine keeps its /usr."""
import os
import pathlib
import re
import subprocess
import types

import pytest

import lab as labs
from lab import ROOT, wait_for

OVERLAY = 'mount -t overlay overlay -o "lowerdir=$0/usr:/usr" /usr && exec "$@"'

# What readelf says of a program with it.
HARDENING = {
    "position-independent": r"FLAGS_1.*\bPIE\b",
    "read-only-relocations": r"GNU_RELRO",
    "symbols-bound-at-start": r"FLAGS_1.*\bNOW\b",
    "no-executable-stack": r"GNU_STACK.* RW +0x",
    "stack-protector": r" __stack_chk_fail@",
    "fortified-calls": r" __\w+_chk@",
}


def run(*command, **more):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clean_tree(tmp_path_factory):
    """The repository's files as git lists them, without anything that a build made."""
    tree = tmp_path_factory.mktemp("tree")
    # A clone of another user is refused otherwise.
    names = run("git", "-c", f"safe.directory={ROOT}", "-C", ROOT, "ls-files", "-z").split("\0")[:-1]
    run("tar", "-C", ROOT, "-cf", tree / "berth.tar", *(name for name in names if (ROOT / name).exists()))
    run("tar", "-C", tree, "-xf", tree / "berth.tar")
    return tree


@pytest.fixture(scope="module")
def installed(clean_tree, tmp_path_factory):
    """The root under which the files are, as in a package."""
    root, build = tmp_path_factory.mktemp("root"), clean_tree / "build"
    run("meson", "setup", build, clean_tree, "--prefix=/usr", "-Dtests=false")
    run("meson", "install", "-C", build, env={**os.environ, "DESTDIR": str(root)})
    return root


@pytest.fixture(params=["xdp", "dpdk"])
def lab(request, bare_lab, installed, tmp_path):
    """The lab's network, with the installed berthd in it as the installed unit starts it."""
    unit = (installed / "usr/lib/systemd/system/berthd.service").read_text()
    program = unit.split("ExecStart=")[1].splitlines()[0]
    (tmp_path / "berth.yaml").write_text(labs.config_yaml(request.param))
    with open(tmp_path / "berthd.log", "w") as log:
        berthd = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/berth-{bare_lab.name}-berth", "unshare", "--mount", "sh", "-c", OVERLAY,
             installed, program, "-c", tmp_path / "berth.yaml", "-i", "e2einstall", "-r", tmp_path,
             "-d", tmp_path / "state"], stderr=log)

    def ctl(*arguments):
        return run(installed / "usr/bin/berthctl", "-s", tmp_path / "e2einstall.sock", *arguments)
    yield types.SimpleNamespace(state=tmp_path, berthd=berthd, engine=request.param, answers=bare_lab.answers, ctl=ctl)
    if berthd.poll() is None:
        ctl("shutdown")
    berthd.wait(10)


def table_mb(instance):
    """What the files of a berthd's tables take."""
    files = [path for folder in ("/dev/hugepages/berth", "/dev/shm/berth") for path in pathlib.Path(folder).glob(f"{instance}.image*")]
    return sum(path.stat().st_size for path in files) >> 20


def test_the_installed_programs_start_both_engines_and_forward_a_request(lab, installed):
    def answered():
        assert lab.berthd.poll() is None
        return lab.answers("web")
    assert wait_for(answered, 20, "an answer") in ("b1", "b2", "b3")
    assert f'"engine": "{lab.engine}"' in lab.ctl("-j", "show", "engine")
    said = run(installed / "usr/sbin/berthd", "--hugepages", "-c", lab.state / "berth.yaml")
    if lab.engine == "dpdk":
        assert re.match(rf"tables {table_mb('e2einstall')}\npacket-buffers \d+\ndpdk \d+\n\Z", said)
    else:
        assert said == ""


def test_the_unit_and_the_programs_are_where_meson_is_told(clean_tree, tmp_path):
    build, root = tmp_path / "build", tmp_path / "root"
    run("meson", "setup", build, clean_tree, "--prefix=/opt/berth", "--sbindir=libexec", "-Dtests=false",
        "-Ddpdk=false")
    planned = run("meson", "introspect", "--installed", build)
    assert '"/opt/berth/libexec/berthd"' in planned
    unit = (build / "packaging/berthd.service").read_text()
    assert "ExecStart=/opt/berth/libexec/berthd\n" in unit
    assert " file:/opt/berth/share/doc/berth/README.md\n" in unit


@pytest.mark.parametrize("path", ["usr/sbin/berthd", "usr/sbin/berth-dpdk", "usr/bin/berthctl", "usr/bin/berth-decap",
                                  "usr/sbin/berth-hugepages", "usr/lib/berth/berth-helper"])
def test_every_program_says_its_version(installed, clean_tree, path):
    version = re.search(r"version: '(.*)'", (clean_tree / "meson.build").read_text()).group(1)
    assert run(installed / path, "--version") == f"{path.rpartition('/')[2]} {version}\n"


def test_every_document_is_installed_and_no_link_is_dead(installed):
    documents = installed / "usr/share/doc/berth"
    run(ROOT / "scripts/check-links", documents)
    assert {path.name for path in (documents / "docs").iterdir()} == {path.name for path in (ROOT / "docs").iterdir()}


@pytest.fixture(scope="module")
def programs(installed):
    """{path: what readelf says} of each program that is installed for this machine; BPF objects are none."""
    found = {}
    for path in installed.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF" and path.suffix != ".o":
            found[path] = run("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", path)
    assert {"berthd", "berthctl", "berth-dpdk", "berth-decap"} <= {path.name for path in found}
    return found


@pytest.mark.parametrize("what", HARDENING)
def test_every_program_is_hardened(programs, what):
    assert not [path.name for path, elf in programs.items() if not re.search(HARDENING[what], elf)]


def test_every_compiled_file_probes_the_stack_page_by_page(programs):
    """A program without a frame above a page contains no probe: the compiler's own record of its options is read."""
    for path in programs:
        units = re.findall(r"DW_AT_producer.*: (GNU C.*)", run("readelf", "--debug-dump=info", "--dwarf-depth=1", path))
        assert units and all("-fstack-clash-protection" in unit for unit in units), path
