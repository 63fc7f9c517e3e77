"""The forecast of a genuine catalog against the dry run that the engine made of it, and the policy it goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup, Observation, RepositoryState, Severity
from pgwrap.domain.model import (
    Cluster,
    EngineInstance,
    EngineKind,
    NativeOption,
    PostgresTarget,
    Repository,
    RetentionPolicy,
)
from pgwrap.domain.retention import AnnouncedWal, Forecast, compared
from pgwrap.engines.pgbackrest.catalog import CatalogReading, observation_from
from pgwrap.engines.pgbackrest.expiring import announced
from pgwrap.engines.pgbackrest.forecast import forecast
from pgwrap.engines.pgbackrest.info import stanzas_from
from pgwrap.engines.pgbackrest.listing import ArchiveListing
from pgwrap.engines.port import EngineVersion, ForecastRequest
from pgwrap.errors import Busy

RECORDINGS = Path(__file__).parents[3] / "recordings" / "pgbackrest"
NOW = datetime(2026, 11, 22, 11, 20, 25, tzinfo=UTC)
INSTANCE = EngineInstance(
    name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/etc/pgbackrest.conf"
)
FIRST = Repository(name="first", path="/srv/lab/repo1", retention=RetentionPolicy(full=1, differential=3))
SECOND = Repository(name="second", path="/srv/lab/repo2", retention=RetentionPolicy(window_days=7))


def cluster(*repositories: Repository, **words: object) -> Cluster:
    """A cluster with these repositories."""
    values: dict[str, object] = {
        "name": "main",
        "engine": INSTANCE,
        "engine_name": "main",
        "repositories": repositories,
        "postgres": PostgresTarget(data_directory="/srv/lab/data"),
    }
    return Cluster(**(values | words))  # type: ignore[arg-type]


def recorded(name: str) -> Observation:
    """The stanza of a recorded `info`, with all WAL that its `archive` spans."""
    (stanza,) = (one for one in stanzas_from((RECORDINGS / name).read_bytes()) if one.name == "main")
    listings = {
        archive.repository_key: (
            ArchiveListing(archive=archive.id, segments=tuple(names(archive.minimum or "", archive.maximum or ""))),
        )
        for archive in stanza.archives
    }
    reading = CatalogReading(stanza=stanza, version="2.60.0", listings=listings)
    return observation_from(cluster(FIRST, SECOND), reading)


def names(first: str, last: str) -> list[str]:
    """Every segment name between two of one directory."""
    return [f"{first[:16]}{number:08X}" for number in range(int(first[16:], 16), int(last[16:], 16) + 1)]


def foretold(observation: Observation, of: Cluster, *, hypothetical: bool = False) -> tuple[Forecast, ...]:
    """The forecast at the moment of the recording."""
    return forecast(
        ForecastRequest(
            cluster=of,
            observation=observation,
            version=EngineVersion((2, 60, 0)),
            now=NOW,
            hypothetical=hypothetical,
        )
    )


def dry_run(text: bytes, exit_code: int = 0) -> Outcome:
    """The outcome of a dry run that printed this."""
    return Outcome(command=Command(argv=("pgbackrest", "expire")), exit_code=exit_code, stdout=text)


def test_the_recorded_dry_run_deletes_what_is_foretold() -> None:
    """The same backups and the same WAL in the first repository; in the second nothing."""
    told = announced("main", dry_run((RECORDINGS / "2.60.0/expire_dry.txt").read_bytes()))
    first, second = foretold(recorded("2.60.0/info_ok.json"), cluster(FIRST, SECOND))
    assert {fate.id for fate in first.going()} == told.backups
    assert [(fate.from_, fate.to) for fate in first.going_wal()] == [(run.start, run.stop) for run in told.wal]
    expiry = compared(first, told)
    assert (expiry.more, expiry.less, expiry.wal_segments) == ((), (), 8)
    assert (second.going(), second.going_wal()) == ((), ())
    assert second.policy == "a window of 7 days"


def test_an_engine_that_would_delete_more_is_noticed() -> None:
    """A backup or WAL beyond the forecast, and what the engine would keep."""
    text = (RECORDINGS / "2.60.0/expire_dry.txt").read_text()
    first, _ = foretold(recorded("2.60.0/info_ok.json"), cluster(FIRST, SECOND))
    more = compared(first, announced("main", dry_run(text.replace("set 2026", "set 20261122-112021F, 2026").encode())))
    assert more.more == ("20261122-112021F",)
    wal = compared(first, announced("main", dry_run(text.replace("00000A", "00000B").encode())))
    assert wal.more == ("WAL 15-1 among 00000001000000000000000B to 00000001000000000000000D",)
    less = compared(first, announced("main", dry_run(b"")))
    assert (less.more, len(less.less)) == ((), 3)


def test_directories_and_whole_archives_are_understood() -> None:
    """A name may be a directory's; an archive without backups goes as a whole."""
    told = announced(
        "main",
        dry_run(
            b"P00   INFO: [DRY-RUN] repo1: 14-1 remove archive, start = 0000000100000000, stop = 0000000100000001\n"
            b"P00   INFO: [DRY-RUN] repo1: remove archive path /srv/repo1/archive/main/13-1\n"
            b"P00   INFO: [DRY-RUN] repo1: expire time-based backup 20261122-111950F\n"
        ),
    )
    assert told.wal == (AnnouncedWal(archive="14-1", start="0000000100000000", stop="0000000100000001"),)
    assert (told.whole_archives, told.backups) == (frozenset({"13-1"}), frozenset({"20261122-111950F"}))


def test_a_locked_stanza_is_busy() -> None:
    """Nothing is taken for an empty dry run."""
    with pytest.raises(Busy):
        announced("main", dry_run(b"P00  ERROR: [050]: unable to acquire lock on file 'main-backup-1.lock'\n", 50))


@pytest.mark.parametrize(
    ("retention", "options", "policy", "native"),
    [
        (RetentionPolicy(full=2), (), "2 full backups", {"repo1-retention-full": "2"}),
        (RetentionPolicy(), (), None, {"repo1-retention-full": "9999999"}),
        (RetentionPolicy(deliberate=False), (), None, {}),
        (
            RetentionPolicy(full=2),
            (NativeOption(key="repo1-retention-full", values=("3",)),),
            "3 full backups",
            {"repo1-retention-full": "3"},
        ),
        (
            RetentionPolicy(full=2),
            (NativeOption(key="repo1-retention-full", values=("4",), section="expire"),),
            "4 full backups",
            {"repo1-retention-full": "4"},
        ),
        (
            RetentionPolicy(full=2, wal=1, wal_type="differential"),
            (),
            "2 full backups, WAL of the newest 1 full or differential backup",
            {"repo1-retention-full": "2", "repo1-retention-archive": "1", "repo1-retention-archive-type": "diff"},
        ),
    ],
)
def test_the_policy_is_what_is_rendered(
    retention: RetentionPolicy, options: tuple[NativeOption, ...], policy: str | None, native: dict[str, str]
) -> None:
    """Words, then native options, then those of the command's own section."""
    of = cluster(Repository(name="first", path="/srv/lab/repo1"), retention=retention, options=options)
    first = foretold(recorded("2.60.0/info_ok.json"), of)[0]
    assert (first.policy, dict(first.native)) == (policy, native)


def test_a_repository_that_the_spec_does_not_know_is_unknown() -> None:
    """Its policy is somebody else's: never kept, never gone."""
    forecasts = foretold(recorded("2.60.0/info_ok.json"), cluster(FIRST))
    assert {fate.kept for fate in forecasts[1].backups} == {None}
    assert forecasts[1].wal is None


def test_what_if_these_were_barmans_backups() -> None:
    """pgBackRest's rules on another engine's catalog, in the order in which the backups ended."""
    backups = tuple(
        Backup(
            engine="barman", engine_name="s1", id=id_, repository="repo1", type="full", state="done",
            stopped_at=datetime(2026, 11, day, tzinfo=UTC), wal_start=f"{day:024X}", wal_stop=f"{day:024X}",
        )
        for id_, day in (("b", 20), ("a", 21), ("c", 19))
    )  # fmt: skip
    observation = Observation(
        engine="barman",
        engine_name="s1",
        backups=backups,
        repositories=(RepositoryState(name="repo1", key=1, kind="posix", encryption=None, severity=Severity.OK),),
    )
    (only,) = foretold(observation, cluster(FIRST, retention=RetentionPolicy(full=1)), hypothetical=True)
    assert [(fate.id, fate.kept) for fate in only.backups] == [("c", False), ("b", False), ("a", True)]
