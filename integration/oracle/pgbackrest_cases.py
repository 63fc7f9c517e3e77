"""Random stanzas from a seed, as plain data: catalogs and policies. It plants nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from integration.oracle.cases import AMOUNTS, Policy
from integration.oracle.moments import Span, spans
from integration.oracle.wal import Walk, archived

Kind = Literal["full", "diff", "incr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """An entry of `backup.info`."""

    label: str
    kind: Kind
    prior: str | None
    reference: tuple[str, ...]
    span: Span
    first: str | None
    """The first segment it needs; None: taken offline."""
    last: str | None
    database: int
    page_errors: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An entry of a stanza's history; `version` None: that of the machine."""

    number: int
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a repository holds of one stanza: its backups, and the files of each database's archive."""

    backups: tuple[Backup, ...]
    archives: Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stanza."""

    number: int
    databases: tuple[Database, ...]
    repositories: tuple[Contents, ...]
    policy: Policy


def case(seed: int, number: int, zone: str) -> Case:
    """Case `number` of a seed."""
    rng = Random(f"pgbackrest {seed} {number}")
    databases = rng.choice((_one(None), _one(None), _one(None), _two("14"), _two(None)))
    repositories = rng.choice((1, 1, 2))
    policy, windows = _policy(rng, repositories)
    return Case(
        number=number,
        databases=databases,
        repositories=tuple(_Stanza(rng, databases, windows, zone).contents() for _ in range(repositories)),
        policy=policy,
    )


def _one(version: str | None) -> tuple[Database, ...]:
    return (Database(number=1, version=version),)


def _two(older: str | None) -> tuple[Database, ...]:
    return Database(number=1, version=older), Database(number=2, version=None)


def _policy(rng: Random, repositories: int) -> tuple[Policy, tuple[int, ...]]:
    """The policy, and the days of its windows."""
    words: dict[str, str] = _words(rng) if rng.random() < 0.5 else {}
    options: dict[str, str] = {}
    for key in range(1, repositories + 1):
        if not words or key > 1:
            options |= {f"repo{key}-retention-{name}": value for name, value in _rules(rng)}
    texts = [words.get("window", ""), *options.values()]
    days = tuple({int(text.removesuffix("d")) for text in texts if text.removesuffix("d").isdecimal()})
    return Policy(words=words, options=options), days


def _words(rng: Random) -> dict[str, str]:
    words = {"full": str(rng.choice((1, 2, 3, 4, 6)))} if rng.random() < 0.5 else {"window": f"{rng.randint(1, 20)}d"}
    if rng.random() < 0.3:
        words["differential"] = str(rng.randint(1, 5))
    if rng.random() < 0.4:
        words["wal"] = str(rng.randint(1, 6))
        if rng.random() < 0.6:
            words["wal_type"] = rng.choice(("full", "differential", "incremental"))
    return words


def _rules(rng: Random) -> Iterator[tuple[str, str]]:
    if rng.random() < 0.45:
        yield "full-type", "time"
        if rng.random() < 0.9:
            yield "full", str(rng.randint(1, 20))
    elif rng.random() < 0.85:
        yield "full", str(rng.choice((1, 2, 3, 4, 6)))
    if rng.random() < 0.4:
        yield "diff", str(rng.randint(1, 5))
    if rng.random() < 0.4:
        yield "archive", str(rng.randint(1, 6))
    if rng.random() < 0.5:
        yield "archive-type", rng.choice(("full", "diff", "incr"))


class _Stanza:
    """Takes the backups of one repository, one after the other."""

    def __init__(self, rng: Random, databases: tuple[Database, ...], windows: tuple[int, ...], zone: str) -> None:
        self.rng = rng
        self.databases = databases
        self.zone = ZoneInfo(zone)
        self.spans = spans(rng, rng.choice(AMOUNTS), windows)
        self.full_share = rng.choice((0.15, 0.3, 0.6, 1.0))
        self.offline_share = rng.choice((0.0, 0.0, 0.0, 0.2, 1.0))
        self.error_share = rng.choice((0.0, 0.0, 0.3))
        self.promotions = rng.choice((0.0, 0.0, 0.1, 0.3))
        self.chain: list[Backup] = []

    def contents(self) -> Contents:
        """The repository."""
        upgrade = self.rng.choice((0, len(self.spans), self.rng.randint(0, len(self.spans))))
        parts = (self.spans,) if len(self.databases) == 1 else (self.spans[:upgrade], self.spans[upgrade:])
        backups: list[Backup] = []
        archives: dict[int, tuple[str, ...]] = {}
        for database, part in zip(self.databases, parts, strict=True):
            walk = Walk(self.rng)
            self.chain = []
            backups.extend(self._backup(span, walk, database.number) for span in part)
            archives[database.number] = archived(self.rng, walk)
        return Contents(backups=tuple(backups), archives=archives)

    def _backup(self, span: Span, walk: Walk, database: int) -> Backup:
        if self.rng.random() < self.promotions:
            walk.promote()
        offline = self.rng.random() < self.offline_share
        first, last = (None, None) if offline else walk.backup()
        taken = replace(
            self._place(self._kind(), span),
            first=first,
            last=last,
            database=database,
            page_errors=self.rng.random() < self.error_share,
        )
        self.chain.append(taken)
        return taken

    def _kind(self) -> Kind:
        if not self.chain or self.rng.random() < self.full_share:
            return "full"
        return self.rng.choice(("diff", "incr", "incr"))

    def _place(self, kind: Kind, span: Span) -> Backup:
        """Where it stands in its chain."""
        moment = datetime.fromtimestamp(span.start, UTC).astimezone(self.zone).strftime("%Y%m%d-%H%M%S")
        if kind == "full":
            self.chain = []
            return _bare(f"{moment}F", kind, None, (), span)
        full = self.chain[0]
        prior = full if kind == "diff" else self.chain[-1] if self.rng.random() < 0.7 else self.rng.choice(self.chain)
        label = f"{full.label}_{moment}{kind[0].upper()}"
        return _bare(label, kind, prior.label, (*prior.reference, prior.label), span)


def _bare(label: str, kind: Kind, prior: str | None, reference: tuple[str, ...], span: Span) -> Backup:
    return Backup(
        label=label,
        kind=kind,
        prior=prior,
        reference=reference,
        span=span,
        first=None,
        last=None,
        database=1,
        page_errors=False,
    )
