"""What differs between the spec and what runs: files, their meaning, PostgreSQL's settings. It looks at nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from pgwrap.domain.native import Comparison, Difference, Effective
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.settings import Verdict
from pgwrap.records import dataclass

MASK: Final = "********"
FileState: TypeAlias = Literal["same", "differs", "missing", "access", "besides", "left-over", "unread"]
"""`access`: mode or owner differ. `besides`: the engine reads it, and it says something of the spec's clusters or of
all. `left-over`: pgwrap made it for what the spec no longer has. `unread`: it could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDrift:
    """One native file: as the spec wants it, against what is in place. Nothing in it is secret."""

    path: str
    state: FileState
    clusters: tuple[str, ...] = ()
    detail: str = ""
    lines: tuple[str, ...] = ()
    """A unified diff, from what is in place to what the spec says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionDrift:
    """One option that the engine would take otherwise: from what is in place to what the spec says; None: not set."""

    cluster: str | None
    """None: the installation."""
    option: str
    before: str | None
    after: str | None
    place: str | None
    """Where the present value is set, as file:line."""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationDrift:
    """One installation of an engine."""

    name: str
    engine: str
    host: str | None
    clusters: tuple[str, ...]
    files: tuple[FileDrift, ...] = ()
    options_compared: int | None = None
    """How many options mean the same or not; None: their meaning could not be compared."""
    options: tuple[OptionDrift, ...] = ()
    refusals: tuple[str, ...] = ()
    """Why the engine would not run with the files in place."""
    unknown: str | None = None
    """Why it could not be looked at."""

    @property
    def drifted(self) -> tuple[FileDrift, ...]:
        """The files that are not as the spec wants them."""
        return tuple(file for file in self.files if file.state != "same")

    @property
    def clean(self) -> bool:
        """Whether everything could be looked at and is as the spec says."""
        return not (self.drifted or self.options or self.refusals or self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDrift:
    """One setting, or `slot NAME`, of a cluster's PostgreSQL that is not known to be as needed."""

    cluster: str
    name: str
    actual: str | None
    wanted: str
    verdict: Verdict
    restart: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDrift:
    """`result` of `pgwrap diff`."""

    installations: tuple[InstallationDrift, ...]
    postgres: tuple[SettingDrift, ...] = ()
    postgres_asked: bool = True

    @property
    def clean(self) -> bool:
        """No drift, and nothing unknown."""
        return all(one.clean for one in self.installations) and not self.postgres


def unified(before: str, after: WriteFile, secrets: Iterable[str]) -> tuple[str, ...]:
    """A unified diff with every secret masked, on both sides; lines that differ in a secret alone still show up."""
    hidden = (*secrets, *after.secrets)
    lines = difflib.unified_diff(
        before.splitlines(), after.text.splitlines(), f"{after.path} (installed)", f"{after.path} (spec)", lineterm=""
    )
    return tuple(masked(line, hidden) for line in lines)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with each secret replaced, the longest first as one may hold another."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def option_drifts(comparison: Comparison, subjects: dict[str, str | None]) -> Iterator[OptionDrift]:
    """What means something else for the spec's own subjects (`subjects`: engine's name to the spec's)."""
    for difference in comparison.differences:
        if difference.subject in subjects:
            yield _option(difference, subjects[difference.subject])


def _option(difference: Difference, cluster: str | None) -> OptionDrift:
    place = difference.before.place if difference.before is not None else None
    return OptionDrift(
        cluster=cluster,
        option=difference.option,
        before=_shown(difference.before),
        after=_shown(difference.after),
        place=f"{place.file}:{place.line}" if place is not None else None,
        commands=difference.commands,
    )


def _shown(option: Effective | None) -> str | None:
    return None if option is None else option.shown
