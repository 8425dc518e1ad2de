# SPDX-License-Identifier: BSD-3-Clause
"""The files of a machine that boots Debian's systemd with berth installed: systemd as this host's packages have it, the
tree of `meson install`, and the libraries that they want. Nothing is downloaded."""
import os
import pathlib
import shutil
import subprocess

from vm import BUILD, add_program

# What a machine without disks and logins needs of sysinit.target.
SYSINIT = ["systemd-journald.service", "dev-hugepages.mount"]
PMDS = pathlib.Path("/usr/lib/x86_64-linux-gnu/dpdk")
XDP_OBJECTS = pathlib.Path("/usr/lib/x86_64-linux-gnu/bpf")
PMD_NAMES = ["librte_net_af_xdp", "librte_bus_vdev", "librte_bus_pci", "librte_mempool_ring"]
APPLETS = ["cat", "grep", "head", "httpd", "kill", "ls", "mkdir", "modprobe", "pidof", "sed", "sleep", "sysctl", "tail"]
NO_FILES = ("/usr/share/man/", "/usr/share/doc/", "/usr/share/locale/", "/usr/share/bash-completion/",
            "/usr/share/zsh/", "/usr/lib/udev/", "/var/", "/usr/lib/systemd/catalog/")


def is_program(path):
    return path.is_file() and not path.is_symlink() and path.open("rb").read(4) == b"\x7fELF"


def add_libraries(root, path):
    """The libraries that a file of the root wants."""
    add_program(root, path, copy=False)


def add_package(root, name):
    listed = subprocess.run(["dpkg-query", "-L", name], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        path = pathlib.Path(line)
        if path.is_dir() or line.startswith(NO_FILES) or ".wants/" in line:
            continue
        # /lib and /bin are links to those in /usr.
        target = root / os.path.join(os.path.realpath(path.parent), path.name).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
        if is_program(target):
            add_libraries(root, target)


def add_berth(root):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True, capture_output=True,
                   env={**os.environ, "DESTDIR": str(root)})
    for path in (root / "usr/local").rglob("*"):
        if is_program(path) and path.suffix != ".o":
            add_libraries(root, path)
    # One file each, as it is here: DPDK refuses a driver that is loaded twice.
    for path in [*PMDS.rglob("*.so*"), *PMDS.parent.glob("librte_bus_*.so.*")]:
        if path.name.split(".")[0] in PMD_NAMES:
            target = root / str(path).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
    # Programs that AF_XDP's library loads.
    shutil.copytree(XDP_OBJECTS, root / str(XDP_OBJECTS).lstrip("/"))
    for path in (root / str(PMDS).lstrip("/")).rglob("*.so*"):
        add_libraries(root, path)


def enable(root, unit, target):
    wants = root / f"etc/systemd/system/{target}.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / pathlib.Path(unit).name).symlink_to(unit)


def make_systemd_root(directory, programs):
    """A root whose default target starts berthd.service and what is enabled for multi-user.target."""
    root = directory / "root"
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev", "run", "tmp", "var/log",
                   "var/lib", "root", "home", "var/tmp"):
        (root / folder).mkdir(parents=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    for package in ("systemd", "libsystemd-shared"):
        add_package(root, package)
    add_berth(root)
    for program in ["/bin/busybox", "/bin/dash", *map(str, programs)]:
        add_program(root, program)
    (root / "usr/bin/sh").symlink_to("dash")
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    for name in ("passwd", "group", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", root / "etc")
    (root / "etc/machine-id").write_text("0" * 31 + "1\n")
    for unit in SYSINIT:
        enable(root, f"/lib/systemd/system/{unit}", "sysinit.target")
    enable(root, "/usr/local/lib/systemd/system/berthd.service", "multi-user.target")
    (root / "init").symlink_to("/lib/systemd/systemd")
    return root
