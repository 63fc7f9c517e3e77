"""Measures `pgwrap retention` on 10,000 backups, against pgBackRest's own answers. It proves no answer right.

The catalog is a real repository whose `backup.info` tells of one real backup many times, an hour apart, with the WAL
file names that go with it; pgBackRest itself reads it (its checksum is that of pgBackRest's src/info/info.c).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from integration.conftest import QUIET_RPO
from integration.figures import Figure, Sample
from integration.lab.estate import ORDERS, Estate, estate
from integration.lab.machine import Machine
from integration.lab.room import room
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Lsn, Segment, Timeline

BACKUPS = 10_000
LIMIT = 1.0
"""Seconds beyond the engine's own time."""
_FULL_EVERY, _DIFFERENTIAL_EVERY = 24, 6
_HOUR = 3600
_ENTRY = re.compile(r"^(\d{8}-\d{6}F)=(.*)$", re.MULTILINE)
_CHECKSUM = re.compile(r'^backrest-checksum="[0-9a-f]+"$', re.MULTILINE)
_FIRST = 4096
"""The first clone's segment: well above what the real backup left."""


def catalog_figures(machine: Machine, repeat: int) -> Iterator[Figure]:
    """The whole answer as a table; the newest commit is not looked for, since the cloned WAL is empty."""
    with room(machine, "bench") as place, estate(place, {ORDERS: "pgbackrest"}, rpo=QUIET_RPO) as made:
        made.render()
        made.apply_settings(ORDERS)
        made.start_engine(ORDERS)
        made.back_up(ORDERS)
        grow(place.path / "pgbackrest", BACKUPS)
        for path in (place.path / "pgbackrest").rglob("*"):
            place.give(path)
        pairs = [(_ours(made), _bare(made)) for _ in range(repeat + 1)][1:]
    took, bare, beyond = (
        Sample(tuple(values)) for values in (*zip(*pairs, strict=True), tuple(one - other for one, other in pairs))
    )
    yield Figure(
        name=f"`retention`, {BACKUPS:,} backups",
        limit="1 s beyond",
        measured=took.text("s", 2),
        against=f"version, info and repo-ls: {bare.text('s', 2)}; beyond: {beyond.text('s', 2)}",
        holds=beyond.median < LIMIT,
    )


def _ours(made: Estate) -> float:
    return made.pgwrap("retention", ORDERS, "--no-commits", deadline=300.0).seconds


def _bare(made: Estate) -> float:
    stanza, quiet = f"--stanza={ORDERS}", "--log-level-stderr=off"
    asked = (
        ("version",),
        (stanza, quiet, "--output=json", "info"),
        (stanza, quiet, "--repo=1", "--recurse", "--output=json", "repo-ls", f"archive/{ORDERS}"),
    )
    return sum(made.pgbackrest.run(*arguments, deadline=300.0).seconds for arguments in asked)


def grow(repository: Path, count: int) -> None:
    """Have the catalog tell of the newest backup `count` times, and the archive of two segments for each."""
    path = repository / "backup" / ORDERS / "backup.info"
    text = path.read_text()
    newest = json.loads(_ENTRY.findall(text)[-1][1])
    told = "\n".join(
        sorted(f"{label}={json.dumps(one, separators=(',', ':'))}" for label, one in clones(newest, count))
    )
    first, *others = _ENTRY.finditer(text)
    for other in reversed(others):
        text = text[: other.start()] + text[other.end() + 1 :]
    text = text[: first.start()] + told + text[first.end() :]
    text = _CHECKSUM.sub(f'backrest-checksum="{checksum(text)}"', text)
    for name in ("backup.info", "backup.info.copy"):
        path.with_name(name).write_text(text)
    (archive,) = (one for one in (repository / "archive" / ORDERS).iterdir() if one.is_dir())
    for number in range(_FIRST, _FIRST + 2 * count):
        name = Segment(Timeline(1), number).name(DEFAULT_SEGMENT_SIZE)
        (archive / name[:16]).mkdir(exist_ok=True)
        (archive / name[:16] / f"{name}-{'0' * 40}.gz").touch()


def clones(newest: dict[str, object], count: int) -> Iterator[tuple[str, dict[str, object]]]:
    """A day is a full backup, and each six hours a differential one, with incremental ones between."""
    ended = int(str(newest["backup-timestamp-start"]))
    full, chain = "", list[str]()
    for place in range(count):
        start, number = ended - (count - place) * _HOUR, _FIRST + 2 * place
        label = f"{datetime.fromtimestamp(start, UTC):%Y%m%d-%H%M%S}"
        segment = Segment(Timeline(1), number)
        position = segment.start(DEFAULT_SEGMENT_SIZE)
        entry = {
            **newest,
            "backup-timestamp-start": start,
            "backup-timestamp-stop": start + 3,
            "backup-archive-start": segment.name(DEFAULT_SEGMENT_SIZE),
            "backup-archive-stop": segment.name(DEFAULT_SEGMENT_SIZE),
            "backup-lsn-start": str(Lsn(position + 0x28)),
            "backup-lsn-stop": str(Lsn(position + 0x100)),
        }
        if place % _FULL_EVERY == 0:
            full, chain = f"{label}F", []
            yield full, entry
            continue
        differential = place % _DIFFERENTIAL_EVERY == 0
        earlier = [] if differential else chain
        entry |= {
            "backup-type": "diff" if differential else "incr",
            "backup-prior": earlier[-1] if earlier else full,
            "backup-reference": [full, *earlier],
        }
        label = f"{full}_{label}{'D' if differential else 'I'}"
        chain = [*earlier, label]
        yield label, dict(sorted(entry.items()))


def checksum(text: str) -> str:
    """Of the file as JSON, section by section, without the line that holds it."""
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            sections.append((line[1:-1], []))
        elif line and not line.startswith("backrest-checksum="):
            key, _, value = line.partition("=")
            sections[-1][1].append(f'"{key}":{value}')
    told = ",".join(f'"{name}":{{{",".join(entries)}}}' for name, entries in sections if entries)
    return hashlib.sha1(f"{{{told}}}".encode()).hexdigest()  # noqa: S324 - pgBackRest's own
