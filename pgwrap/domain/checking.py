"""What `pgwrap check` found: one verdict for each thing that was looked at, also the right ones. It looks at nothing.

What status finds wrong is taken from it; only what status does not look at is judged here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pgwrap.domain.amounts import duration, size
from pgwrap.domain.facts import Backup, ClusterStatus, EngineName, PostgresView, Severity, worst
from pgwrap.domain.model import Cluster
from pgwrap.domain.objectives import newest_done
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.postgres import CLOCK_TOLERANCE
from pgwrap.domain.wal_status import setting
from pgwrap.records import dataclass

JUDGED_BY_STATUS: Final = frozenset({"wal_level", "archive_mode", "archive_command"})
LITTLE: Final = 64 << 20
"""Bytes: with less than a few WAL segments free, archiving is about to stop."""
_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    """A stable slug; one that status found is called as its finding."""
    severity: Severity
    message: str
    hint: str = ""
    """The command that mends it, or what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCheck:
    """Everything that was looked at for one cluster."""

    name: str
    engine: EngineName
    engine_name: str
    severity: Severity
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCheck:
    """`result` of `pgwrap check`."""

    severity: Severity
    clusters: tuple[ClusterCheck, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that the engine needs, on its own host."""

    path: str
    purpose: str
    required: bool = True
    """Whether nothing works without it; the engine makes the others itself."""
    written: bool = True
    holds_backups: bool = False
    grows: bool = False
    """Whether it takes what nobody can foretell, so that its free space counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPlace:
    """A directory as the engine's user finds it; None: that could not be established."""

    place: Place
    exists: bool | None
    owner: str | None = None
    usable: bool | None = None
    """May be read, and written where that is needed."""
    free_bytes: int | None = None
    total_bytes: int | None = None


def checked(status: ClusterStatus, checks: tuple[Check, ...]) -> ClusterCheck:
    """The cluster's verdict: what status found, and what was looked at besides."""
    found = tuple(
        Check(name=finding.code.value, severity=finding.severity, message=finding.message, hint=finding.hint)
        for finding in status.findings
    )
    everything = (*checks, *found)
    return ClusterCheck(
        name=status.name,
        engine=status.engine,
        engine_name=status.engine_name,
        severity=worst((status.severity, *(check.severity for check in everything))),
        checks=everything,
    )


def setting_checks(
    cluster: Cluster, server: PostgresView | None, expected: tuple[PostgresSetting, ...]
) -> Iterator[Check]:
    """The settings that status does not judge, against those that the engine needs."""
    if server is None or not server.reachable:
        why = "the spec gives no connection" if server is None else f"PostgreSQL did not answer: {server.error}"
        yield Check(name="postgres", severity=Severity.UNKNOWN, message=f"its settings could not be read: {why}")
        return
    role = "a standby" if server.in_recovery else "a primary"
    yield Check(name="postgres", severity=Severity.OK, message=f"PostgreSQL {server.version} answers, {role}")
    for wanted in expected:
        if wanted.name not in JUDGED_BY_STATUS:
            yield _setting(cluster, server, wanted)
    yield from _no_loss(cluster, server)


def _setting(cluster: Cluster, server: PostgresView, wanted: PostgresSetting) -> Check:
    name, actual = wanted.name, setting(server, wanted.name)
    if actual is None:
        message = f"{name} could not be read; {wanted.value} is needed: {wanted.reason}"
        return Check(name=f"setting-{name}", severity=Severity.UNKNOWN, message=message)
    if _fits(wanted, actual):
        return Check(name=f"setting-{name}", severity=Severity.OK, message=f"{name} is {actual}")
    least = " or more" if wanted.minimum else ""
    then = " and restart PostgreSQL" if wanted.restart else "; then: select pg_reload_conf()"
    return Check(
        name=f"setting-{name}",
        severity=Severity.WARNING,
        message=f"{name} is {actual or 'empty'}, not {wanted.value}{least}: {wanted.reason}",
        hint=words.psql(cluster, f"alter system set {name} = '{wanted.value}'") + then,
    )


def _fits(wanted: PostgresSetting, actual: str) -> bool:
    if wanted.name == "archive_timeout":
        return actual.isdecimal() and 0 < int(actual) <= int(wanted.value)
    if wanted.name == "synchronous_standby_names":
        return wanted.value in actual or "*" in actual
    if wanted.minimum and actual.isdecimal() and wanted.value.isdecimal():
        return int(actual) >= int(wanted.value)
    return actual == wanted.value


def _no_loss(cluster: Cluster, server: PostgresView) -> Iterator[Check]:
    """An rpo of zero is kept only by commits that wait for another place."""
    if cluster.objectives.rpo != 0:
        return
    names = setting(server, "synchronous_standby_names")
    if names is None:
        message = "synchronous_standby_names could not be read, so it is not known whether commits wait"
        yield Check(name="no-loss", severity=Severity.UNKNOWN, message=message)
    elif names.strip():
        yield Check(name="no-loss", severity=Severity.OK, message=f"commits wait for {names}")
    else:
        yield Check(
            name="no-loss",
            severity=Severity.CRITICAL,
            message="the spec promises an rpo of 0, but no commit waits for another place: "
            "synchronous_standby_names is empty",
            hint="let commits wait for a standby, or for Barman: wal: {delivery: stream, synchronous: true}",
        )


def place_check(seen: SeenPlace, user: str | None) -> Check:
    """Whether the engine's user finds the directory and may use it."""
    place, name = seen.place, f"directory-{seen.place.purpose.replace(' ', '-')}"
    who = user or "this user"
    verb = "write" if place.written else "read"
    if seen.exists is None or (seen.exists and seen.usable is None):
        message = f"{place.purpose} {place.path}: could not be looked at"
        return Check(name=name, severity=Severity.UNKNOWN, message=message, hint=f"ls -ld {shlex.quote(place.path)}")
    if not seen.exists:
        severity = Severity.CRITICAL if place.required else Severity.OK
        later = "" if place.required else "; the engine makes it when it needs it"
        hint = f"install -d -m 750 -o {user or 'USER'} {shlex.quote(place.path)}" if place.required else ""
        message = f"{place.purpose} {place.path} does not exist{later}"
        return Check(name=name, severity=severity, message=message, hint=hint)
    if not seen.usable:
        message = f"{who} may not {verb} {place.purpose} {place.path}, which belongs to {seen.owner or 'another user'}"
        return Check(name=name, severity=Severity.CRITICAL, message=message, hint=_mend(seen, user))
    return Check(name=name, severity=Severity.OK, message=f"{who} can {verb} {place.purpose} {place.path}")


def _mend(seen: SeenPlace, user: str | None) -> str:
    path = shlex.quote(seen.place.path)
    if user is None or seen.owner == user:
        return f"chmod u+rwx {path}"
    return f"chown -R {user} {path}" if seen.place.written else f"let {user} read it: ls -ld {path}"


def space_check(seen: SeenPlace, backups: tuple[Backup, ...]) -> Check | None:
    """Whether there is room for WAL, and where backups are kept for another full one; None for what is not there."""
    if not seen.exists or not (seen.place.grows or seen.place.holds_backups):
        return None
    place, name = seen.place, f"space-{seen.place.purpose.replace(' ', '-')}"
    if seen.free_bytes is None or not seen.total_bytes:
        return Check(name=name, severity=Severity.UNKNOWN, message=f"the free space of {place.path} is not known")
    room = f"{size(seen.free_bytes)} of {size(seen.total_bytes)} free for {place.purpose} {place.path}"
    hint = f"df -h {shlex.quote(place.path)}"
    if seen.free_bytes < LITTLE:
        return Check(name=name, severity=Severity.CRITICAL, message=f"only {room}", hint=hint)
    full = newest_done(backups, full=True)
    needed = (full.stored_bytes or full.copied_bytes) if full is not None and place.holds_backups else None
    if needed is not None and seen.free_bytes < needed:
        message = f"{room}: another full backup may not fit, the newest takes {size(needed)}"
        return Check(name=name, severity=Severity.WARNING, message=message, hint=hint)
    if seen.free_bytes < _SHARE * seen.total_bytes:
        return Check(name=name, severity=Severity.WARNING, message=f"only {room}", hint=hint)
    return Check(name=name, severity=Severity.OK, message=room)


def clock_check(host: str, ahead: float | None) -> Check:
    """The engine host's clock against this one's; `ahead` in seconds, None when it could not be asked."""
    if ahead is None:
        return Check(name="clock", severity=Severity.UNKNOWN, message=f"the clock of {host} could not be asked")
    apart = duration(abs(ahead))
    if abs(ahead) > CLOCK_TOLERANCE:
        message = f"the clock of {host} is {apart} {'ahead of' if ahead > 0 else 'behind'} this host's"
        return Check(name="clock", severity=Severity.WARNING, message=message, hint=f"ssh {host} chronyc tracking")
    return Check(name="clock", severity=Severity.OK, message=f"the clocks of {host} and this host agree within {apart}")


def without_repeats(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Of several directories of one purpose, each with a name of its own: the second gets a number."""
    seen: dict[str, int] = {}
    kept = []
    for check in checks:
        seen[check.name] = count = seen.get(check.name, 0) + 1
        kept.append(check if count == 1 else replace(check, name=f"{check.name}-{count}"))
    return tuple(kept)
