"""Another host that is this machine: another user behind ssh on loopback, with a pgBackRest repository of its own."""

from __future__ import annotations

import pwd
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.lab.process import Ran, run
from integration.lab.room import Room
from integration.lab.sshd import sshd

NAME = "lab"
"""What both sides call it; each logs in as the other's user."""
_USERS = ("barman", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherHost:
    """Its user, and the repository that nobody else reads."""

    room: Room
    user: str
    ssh_config: Path
    """For pgwrap's own ssh."""
    ssh_here: Path
    """The program by which pgBackRest on this side goes there."""
    config: Path
    repository: Path

    @property
    def place(self) -> Path:
        """All that is there."""
        return self.config.parent

    def pgbackrest(self, *words: str, check: bool = True) -> Ran:
        """pgBackRest as it is typed there."""
        program = str(self.room.machine.engine("pgbackrest").program)
        argv = (program, f"--config={self.config}", *words)
        return run(argv, user=self.user, directory=self.place, check=check)

    def names(self, stanza: str) -> set[str]:
        """The WAL files that it holds."""
        archive = self.repository / "archive" / stanza
        return {path.name.split("-")[0] for path in archive.rglob("0000*") if path.is_file()}


def other_user(room: Room) -> str:
    """Somebody else than who runs the room; LookupError where this machine has nobody."""
    known = {entry.pw_name for entry in pwd.getpwall() if not entry.pw_shell.endswith(("nologin", "false"))}
    for name in _USERS:
        if name in known and name != room.machine.user:
            return name
    raise LookupError(f"there is no user of {' or '.join(_USERS)} with a shell beside {room.machine.user}")


@contextmanager
def other_host(room: Room, stanza: str, data: Path, sockets: Path, port: int) -> Iterator[OtherHost]:
    """It, with a configuration in which `stanza` is the room's server; root only."""
    user = other_user(room)
    place = room.path / "there"
    place.mkdir(mode=0o755)
    with sshd() as ssh_config:
        ssh_config.parent.chmod(0o755)
        here = _way(ssh_config, place, room.machine.user)
        there = _way(ssh_config, place, user)
        repository = place / "repository"
        repository.mkdir(mode=0o700)
        for name in ("lock", "log"):
            (place / name).mkdir(mode=0o700)
            shutil.chown(place / name, user, user)
        shutil.chown(repository, user, user)
        config = place / "pgbackrest.conf"
        config.write_text(
            f"[global]\nrepo1-path={repository}\nrepo1-retention-full=9\nstart-fast=y\ncmd-ssh={there}\n"
            f"lock-path={place}/lock\nlog-path={place}/log\nlog-level-file=off\n\n[{stanza}]\n"
            f"pg1-host={NAME}\npg1-host-user={room.machine.user}\npg1-host-config={room.path}/etc/pgbackrest/pgbackrest.conf\n"
            f"pg1-path={data}\npg1-socket-path={sockets}\npg1-port={port}\npg1-user=postgres\n"
        )
        yield OtherHost(
            room=room, user=user, ssh_config=ssh_config, ssh_here=here, config=config, repository=repository
        )


def _way(base: Path, place: Path, user: str) -> Path:
    """A program that is ssh for one user: with that user's copy of the key, and a host file of its own."""
    (port,) = re.findall(r"Host lab 127\.0\.0\.1\n.*\n Port (\d+)", base.read_text())
    directory = place / f"ssh-{user}"
    directory.mkdir(mode=0o700)
    key = directory / "key"
    shutil.copy(base.parent / "user_key", key)
    key.chmod(0o600)
    config = directory / "config"
    config.write_text(
        f"Host {NAME}\n HostName 127.0.0.1\n Port {port}\n IdentityFile {key}\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {directory}/known_hosts\n StrictHostKeyChecking accept-new\n"
    )
    for path in (directory, key, config):
        shutil.chown(path, user, user)
    program = place / f"ssh-{user}.sh"
    program.write_text(f'#!/bin/sh\nexec ssh -F {config} "$@"\n')
    program.chmod(0o755)
    return program


def repository_words(there: OtherHost, *, pulls: bool = True) -> str:
    """The repository in a spec's words, as this side sees it."""
    host = f"{{address: {NAME}, user: {there.user}, config: {there.config}}}"
    back = f", pulls_from: {there.room.machine.user}@{NAME}" if pulls else ""
    return f"  local: {{type: posix, path: {there.repository}, host: {host}{back}}}\n"
