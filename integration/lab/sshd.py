"""An sshd of our own on a loopback port, with keys of its own. It touches neither the user's keys nor known hosts."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.lab.postgres import free_port

_PLACES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"


def can_serve() -> bool:
    """Whether OpenSSH's client and server are installed."""
    return all(shutil.which(program, path=_PLACES) for program in ("sshd", "ssh", "ssh-keygen"))


@contextmanager
def sshd() -> Iterator[Path]:
    """The path of an ssh client configuration: `lab` reaches the server, on `nowhere` nobody listens, and `stranger`
    is not let in."""
    directory = Path(tempfile.mkdtemp(prefix="pgwrap-sshd-", dir="/var/tmp"))
    port = free_port()
    _configure(directory, port, free_port())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    daemon = str(shutil.which("sshd", path=_PLACES))
    server = subprocess.Popen([daemon, "-D", "-e", "-f", directory / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield directory / "config"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(directory)


def _configure(directory: Path, port: int, closed_port: int) -> None:
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / key], check=True)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host_key\nPidFile {directory}/pid\n"
        f"AuthorizedKeysFile {directory}/user_key.pub\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"UsePAM {'yes' if os.geteuid() == 0 else 'no'}\nPrintMotd no\nMaxStartups 100\nMaxSessions 100\n"
    )
    known = f" UserKnownHostsFile {directory}/known_hosts\n StrictHostKeyChecking accept-new\n"
    (directory / "config").write_text(
        f"Host lab 127.0.0.1\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n{known}"
        f"Host nowhere\n HostName 127.0.0.1\n Port {closed_port}\n"
        f"Host stranger\n HostName 127.0.0.1\n Port {port}\n IdentityFile {directory}/nothing\n{known}"
        f"Host lab nowhere 127.0.0.1\n IdentityFile {directory}/user_key\n"
        "Host *\n IdentitiesOnly yes\n"
    )


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while not _accepts(port):
        if time.monotonic() > until:
            raise TimeoutError("sshd did not come up on loopback within 10 s")
        time.sleep(0.05)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
