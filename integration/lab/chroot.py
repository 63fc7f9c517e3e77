"""Runs a program in another root filesystem; its mounts live in a namespace that ends with it, so none can leak."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from integration.lab.machine import CHECKOUT

NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIOCSIFFLAGS = 0x8914
_INTERFACE_UP = 0x1


class StillMounted(Exception):
    """Something is mounted below a directory that was about to be removed."""


def command(root: Path, argv: tuple[str, ...], *, network: bool) -> tuple[str, ...]:
    """What to run to have `argv` run in `root`: without network there is a loopback interface and nothing else."""
    isolation = NAMESPACES if network else (*NAMESPACES, "--net")
    return ("unshare", *isolation, sys.executable, "-m", "integration.lab.chroot", str(root), *argv)


def run_in(
    root: Path, argv: tuple[str, ...], log: Path, *, network: bool, environment: Mapping[str, str], deadline: float
) -> int:
    """Run `argv` in `root` with its output added to `log`; its exit code, 124 past the deadline."""
    clean = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", **environment}
    with log.open("ab") as output:
        output.write(f"$ {' '.join(argv)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command(root, argv, network=network),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        try:
            return process.wait(deadline)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            process.kill()  # the namespace's first process: everything in it goes with it
            process.wait()


def remove(root: Path) -> None:
    """Remove a root filesystem; StillMounted when a mount of this machine's lies in it."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in mounted if Path(point).is_relative_to(root.resolve())]
    if inside:
        raise StillMounted(f"{root} holds mounts, so it stays: {', '.join(inside)}")
    if root.exists():
        shutil.rmtree(root)


def _enter(root: str, argv: list[str]) -> None:
    """In the new namespaces: mount what programs expect, bring loopback up, and become `argv`."""
    mounts = (
        ("--types", "proc", "proc", f"{root}/proc"),
        ("--rbind", "/dev", f"{root}/dev"),
        ("--types", "tmpfs", "--options", "mode=1777", "tmpfs", f"{root}/dev/shm"),
        ("--types", "tmpfs", "--options", "mode=1777", "tmpfs", f"{root}/tmp"),
    )
    for mount in mounts:
        subprocess.run(("mount", *mount), check=True)
    _raise_loopback()
    os.chroot(root)
    os.chdir("/")
    os.execvp(argv[0], argv)  # noqa: S606  # this process becomes the program; no shell on purpose


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _INTERFACE_UP))


if __name__ == "__main__":
    _enter(sys.argv[1], sys.argv[2:])
