"""Backups and WAL of every kind that an engine has are carried, and restore: compressed, encrypted, bundled, by blocks,
built on others, copied file by file, with segments of another size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from integration.lab.answers import Json, cluster, status
from integration.lab.machine import Machine
from integration.lab.moving import NEW, OLD, Move, back_up, backed_up, move
from integration.lab.room import room
from pgwrap.engines.port import EngineVersion

pytestmark = pytest.mark.thorough

HISTORY = f"{NEW}-history"
OWN = {
    "barman": ("{method: postgres, checkpoint: fast}", "{delivery: stream, slot: barman, create_slot: true}"),
    "pgbackrest": ("{checkpoint: fast}", None),
}
"""What the spec of the laboratory says of `backup` and `wal`."""
SECRET = "there is no such word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is unusual about a history, and from which version its engine can do it."""

    source: str
    backup: str = ""
    wal: str = ""
    repository: str = ""
    kinds: tuple[str, ...] = ("full",)
    segment_megabytes: int = 16
    since: str = "0"
    postgres: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


KINDS = {
    "barman, gzip": Kind(source="barman", backup=", compression: gz", wal=", compression: gz"),
    "barman, gzip and xz": Kind(source="barman", backup=", compression: gz", wal=", compression: xz", since="3.12"),
    "barman, incremental": Kind(
        source="barman", kinds=("full", "incremental"), since="3.11", postgres=17, settings={"summarize_wal": "on"}
    ),
    "barman, segments of 64 MB": Kind(source="barman", segment_megabytes=64, wal=", compression: gz"),
    "pgbackrest, encrypted and bundled": Kind(
        source="pgbackrest",
        backup=", bundle: true, compression: zst",
        repository=", encryption: {cipher: aes-256-cbc, passphrase: {file: PASSPHRASE}}",
        kinds=("full", "differential", "incremental"),
    ),
    "pgbackrest, by blocks": Kind(
        source="pgbackrest",
        backup=", bundle: true, block_incremental: true",
        kinds=("full", "differential", "incremental"),
        since="2.46",
    ),
    "pgbackrest, segments of 64 MB": Kind(source="pgbackrest", segment_megabytes=64),
}


@contextmanager
def had(machine: Machine, kind: Kind) -> Iterator[Move]:
    """A server with backups of that kind, and the other engine configured beside."""
    to = "pgbackrest" if kind.source == "barman" else "barman"
    with room(machine, "kinds") as place, move(place, to, segment_megabytes=kind.segment_megabytes) as moved:
        secret = place.write("passphrase", f"{SECRET}\n", mode=0o600)
        text = moved.made.spec.read_text().replace(f"    replaces: {OLD}\n", "")
        backup, wal = OWN[kind.source]
        text = text.replace(f"    backup: {backup}\n", f"    backup: {backup[:-1]}{kind.backup}}}\n", 1)
        if wal is not None:
            text = text.replace(f"    wal: {wal}\n", f"    wal: {wal[:-1]}{kind.wal}}}\n", 1)
        path = f"path: {place.path}/pgbackrest"
        moved.made.spec.write_text(text.replace(path, path + kind.repository.replace("PASSPHRASE", str(secret))))
        if kind.settings:
            moved.server.configure(dict(kind.settings))
        backed_up(moved, 0)
        moved.server.sql(
            "create table kept as select number, repeat('x', 900) as filler from generate_series(1, 9000) n(number)"
        )
        for number, one in enumerate(kind.kinds):
            moved.server.sql(f"update kept set filler = 'changed {number}' where number % 100 = {number}")
            back_up(moved, one)
        yield moved


def carried(moved: Move) -> str:
    """By the laboratory's program, which does what `pgwrap migrate` does; what it said."""
    made = moved.made
    words = ("crossing", "carry", OLD, NEW, str(made.room.directory("carry")))
    if moved.to == "barman":
        words = ("carrying_into_barman", str(made.spec), "all", OLD, NEW)
    ran = made.laboratory(*words)
    return ran.stdout + ran.stderr


def listed(moved: Move, name: str) -> list[Json]:
    """What pgwrap shows of one side, oldest first."""
    found: list[Json] = cluster(status(moved.made), name)["backups"]
    return sorted(found, key=lambda one: str(one["stopped_at"]))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_history_of_any_kind_is_carried(machine: Machine, kind: Kind) -> None:
    """All of it, with its times; the last backup restores with all its rows, and the WAL behind it."""
    version = machine.engine(kind.source).version
    if EngineVersion.parse(version) < EngineVersion.parse(kind.since) or machine.postgres_major < kind.postgres:
        pytest.skip(f"{kind.source} {version} with PostgreSQL {machine.postgres_major} has nothing of the kind")
    with had(machine, kind) as moved:
        before = listed(moved, OLD)
        assert len(before) == len(kind.kinds)
        said = carried(moved)
        after = listed(moved, NEW)
        assert [one["stopped_at"] for one in after] == [one["stopped_at"] for one in before], said
        assert {one["state"] for one in after} == {"done"}
        for one in after:
            scratch = str(moved.made.room.directory("scratch"))
            ran = moved.made.pgwrap(
                "drill", NEW, "--backup", one["id"], "--directory", scratch, "-o", "json", deadline=300
            )
            assert json.loads(ran.stdout)["outcome"] == "success", ran.stdout
