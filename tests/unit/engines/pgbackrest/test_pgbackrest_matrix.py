"""Every output that three generations of pgBackRest printed in the laboratory is understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import Repository
from pgwrap.domain.wal import ranges_of_names
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.pgbackrest.backup import conclude
from pgwrap.engines.pgbackrest.info import stanzas_from
from pgwrap.engines.pgbackrest.listing import listings_from
from pgwrap.engines.pgbackrest.output import reported_error, version_from
from pgwrap.engines.port import BackupResult, ObserveRequest
from pgwrap.errors import Busy, EngineFailed
from tests.unit.engines.pgbackrest.pgbackrest_fleet import RECORDINGS, cluster, drive, replaying


def recordings() -> Iterator[tuple[str, Outcome]]:
    """Each recorded command with its outcome."""
    for index in sorted(RECORDINGS.glob("*/matrix/commands.json")):
        for entry in json.loads(index.read_text()):
            stem = index.parent / entry["name"]
            yield (
                f"{index.parent.parent.name}/{entry['name']}",
                Outcome(
                    command=Command(argv=tuple(entry["argv"])),
                    exit_code=entry["exit_code"],
                    stdout=_bytes(stem.with_suffix(".out")),
                    stderr=_bytes(stem.with_suffix(".err")),
                ),
            )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


ALL = dict(recordings())


def those(word: str) -> list[str]:
    """The names of the recordings of one command of pgBackRest."""
    return [name for name, outcome in ALL.items() if word in outcome.command.argv]


def test_three_generations_are_recorded() -> None:
    """Fewer would prove less."""
    assert {"2.45", "2.55.1", "2.60.0"} <= {name.partition("/")[0] for name in ALL}


@pytest.mark.parametrize("name", those("version"))
def test_versions_are_understood(name: str) -> None:
    """The directory is named for what the program said."""
    assert name.partition("/")[0] == str(version_from(ALL[name].text()))


@pytest.mark.parametrize("name", those("info"))
def test_catalogs_are_understood(name: str) -> None:
    """Whatever its state, a stanza has a status, and `info` never fails."""
    assert 0 == ALL[name].exit_code
    assert all(stanza.message for stanza in stanzas_from(ALL[name].stdout))


@pytest.mark.parametrize("name", those("repo-ls"))
def test_listings_are_understood(name: str) -> None:
    """A listing has ranges, a failure has a code."""
    recorded = ALL[name]
    if recorded.exit_code == 0:
        for listing in listings_from(recorded.stdout):
            assert sum(map(len, ranges_of_names(listing.segments, 16 << 20))) == len(listing.segments)
    else:
        assert recorded.exit_code == reported_error(recorded).code


@pytest.mark.parametrize("name", those("backup"))
def test_backups_are_understood(name: str) -> None:
    """A success names its backup; a failure has the engine's code and words."""
    recorded = ALL[name]
    if recorded.exit_code == 0:
        result, _ = drive(conclude("orders", recorded), lambda _: recorded)
        assert isinstance(result, BackupResult)
        assert result.id in recorded.text()
        return
    with pytest.raises((EngineFailed, Busy)) as caught:
        drive(conclude("orders", recorded), lambda _: recorded)
    assert f"[{recorded.exit_code:03d}]" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("version", ["2.45", "2.55.1", "2.60.0"])
def test_an_upgraded_cluster_archives_to_its_newest_archive(version: str) -> None:
    """After `stanza-upgrade` the old archive is history, and both are read."""
    info = ALL[f"{version}/29_info_upgraded_backup"].stdout
    listing = ALL[f"{version}/30_repo_ls_upgraded_backup"].stdout

    def answer(command: Command) -> Outcome:
        plain = replaying(version)(command)
        stdout = info if "info" in command.argv else listing if "repo-ls" in command.argv else plain.stdout
        return Outcome(command=command, exit_code=0, stdout=stdout)

    one = cluster("orders", repositories=(Repository(name="local", path="/var/lib/pgbackrest"),))
    (observation,), _ = drive(PgBackRest().observe(ObserveRequest(instance=one.engine, clusters=(one,))), answer)
    assert [False, True] == [archive.current for archive in observation.archives]
    assert all(archive.ranges for archive in observation.archives)
    assert observation.archives[1].system_identifier == observation.system_identifier
