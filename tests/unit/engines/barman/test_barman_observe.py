"""What pgwrap makes of Barman's answers, and what it makes of none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.command import Failure
from pgwrap.domain.facts import (
    BackupRetention,
    Finding,
    FindingCode,
    Observation,
    RunningOperation,
    Severity,
)
from pgwrap.domain.model import BarmanModel, Cluster, EngineInstance, Repository
from pgwrap.domain.wal import Ancestor, Ancestry, Lsn, SegmentRange, Timeline
from pgwrap.engines.barman.observe import observe
from pgwrap.engines.port import ObserveRequest

VERSIONS = ("3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1")
Clusters = Callable[..., Cluster]
Replays = Callable[..., Any]

UNREADABLE = (1, b"", b"cat: xlog.db: Permission denied\n")
ABSENT = (1, b"", b"cat: xlog.db: No such file or directory\n")
NEWER = b"ERROR: Unsupported field 'gp_x' found in backup metadata. Please upgrade.\n"


def look(barman: Any, *clusters: Cluster) -> tuple[Observation, ...]:
    """Hold the whole conversation."""
    instance = clusters[0].engine
    run_as = {cluster.name: "barman" for cluster in clusters}
    return barman.hold(observe(ObserveRequest(instance=instance, clusters=clusters, run_as=run_as)))


def codes(observation: Observation) -> list[tuple[FindingCode, Severity]]:
    """The verdicts without their words."""
    return [(finding.code, finding.severity) for finding in observation.findings]


def found(observation: Observation, code: FindingCode) -> Finding:
    """The one finding with this code."""
    (finding,) = (finding for finding in observation.findings if finding.code is code)
    return finding


def changed(replay: Replays, version: str, change: Callable[[dict[str, Any]], None], **answers: Any) -> Any:
    """A recorded Barman whose diagnosis was altered."""
    document = json.loads(replay(version).answers["diagnose"][1])
    change(document)
    return replay(version, diagnose=(0, json.dumps(document).encode(), b""), **answers)


def index_of(barman: Any) -> bytes:
    """What the index of s1 holds."""
    (index,) = (said for key, said in barman.answers.items() if key.startswith("cat") and "/s1/" in key)
    return bytes(index[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gives_the_same_facts(replay: Replays, cluster: Clusters, version: str) -> None:
    """Four backups, the oldest of them held; WAL without a gap; the slot; the policy."""
    (seen,) = look(replay(version), cluster("s1"))

    assert (True, version, "15") == (seen.read, seen.engine_version, seen.postgres_version)
    assert (4, "done") == (len(seen.backups), seen.backups[0].state)
    assert {backup.state for backup in seen.backups} <= {"done", "waiting_for_wal"}
    assert ["standalone", False, False, False] == [backup.held for backup in seen.backups]
    assert ("REDUNDANCY 2, minimum redundancy 1", "barman cron") == (seen.policy, seen.enforced_by)
    assert 1 == len(seen.archives[0].ranges or ())
    assert (seen.archives[0].directory or "").endswith("/s1/wals")
    assert [f"s1_{version.replace('.', '_')}"] == [slot.name for slot in seen.slots]
    assert [] == codes(seen)


def test_the_number_of_processes_does_not_grow_with_the_backups(replay: Replays, cluster: Clusters) -> None:
    """Two for the installation and one for its override file, then two small ones for each server that holds WAL."""
    barman = replay("3.4.0")

    look(barman, cluster("s1"), cluster("s3"), cluster("s4"))

    assert [
        ("diagnose", "-f json list-backups all"),
        (
            "cat -- /srv/lab/h/3.4.0/.barman.auto.conf",
            "cat -- /srv/lab/h/3.4.0/s1/wals/xlog.db",
            "find -H /srv/lab/h/3.4.0/s1/wals -mindepth 2 -maxdepth 2 -type f",
        ),
    ] == barman.rounds


def test_nothing_is_asked_without_clusters(instance: EngineInstance) -> None:
    """No process for an installation nobody asked about."""
    with pytest.raises(StopIteration) as end:
        next(observe(ObserveRequest(instance=instance, clusters=())))

    assert () == end.value.value


def test_a_backup_is_read_whole(replay: Replays, cluster: Clusters) -> None:
    """The oldest backup of the recording, which is kept standalone."""
    local = Repository(name="local", path="/srv/lab/h/3.4.0/s1")

    backup = look(replay("3.4.0"), cluster("s1", repositories=(local,)))[0].backups[0]

    assert ("20261122T112534", "local", "full", "15") == (
        backup.id,
        backup.repository,
        backup.type,
        backup.postgres_version,
    )
    assert datetime(2026, 11, 22, 11, 25, 35, 899060, tzinfo=UTC) == backup.stopped_at
    assert (None, 37778511, 37778511, 1.469282) == (
        backup.cluster_bytes,
        backup.copied_bytes,
        backup.stored_bytes,
        backup.duration_seconds,
    )
    assert (Lsn.parse("0/30000028"), Lsn.parse("0/31000000")) == (backup.lsn_start, backup.lsn_stop)
    assert BackupRetention(kept=True, reason="held by barman keep (standalone)") == backup.retention


def test_a_dash_means_valid_when_a_policy_is_enforced(replay: Replays, cluster: Clusters) -> None:
    """`list-backups` never says VALID."""
    _, _, done, waiting = look(replay("3.19.1"), cluster("s1"))[0].backups

    assert BackupRetention(kept=True, reason="kept by REDUNDANCY 2") == done.retention
    assert "never expires: Barman judges only DONE backups, not WAITING_FOR_WALS" == (
        waiting.retention.reason if waiting.retention else None
    )


@pytest.mark.parametrize(
    ("status", "kept", "held"),
    [("OBSOLETE", False, False), ("OBSOLETE*", True, False), ("KEEP:FULL", True, "full"), ("NOVEL", None, False)],
)
def test_each_retention_status_is_decoded(
    replay: Replays, cluster: Clusters, status: str, kept: bool | None, held: str | bool
) -> None:
    """Barman's words, and one that no version has."""
    listing = json.loads(replay("3.19.1").answers["-f json list-backups all"][1])
    for line in listing["s1"]:
        line["retention_status"] = status
    barman = replay("3.19.1")
    barman.answers["-f json list-backups all"] = (0, json.dumps(listing).encode(), b"")

    oldest = look(barman, cluster("s1"))[0].backups[0]

    assert (kept, held) == (oldest.retention.kept if oldest.retention else None, oldest.held)


def test_a_policy_that_barman_ignores_is_said(replay: Replays, cluster: Clusters) -> None:
    """An invalid retention_policy means that nothing ever expires."""
    barman = changed(replay, "3.19.1", lambda d: d["servers"]["s1"]["config"].update(retention_policy="REDUNDANCY two"))

    (seen,) = look(barman, cluster("s1"))

    assert (None, None) == (seen.policy, seen.enforced_by)
    assert Severity.WARNING is found(seen, FindingCode.RETENTION_NOT_ENFORCED).severity


def test_a_server_without_its_postgresql_is_still_read(replay: Replays, cluster: Clusters) -> None:
    """The catalog needs no PostgreSQL."""
    (seen,) = look(replay("3.19.1"), cluster("s4"))

    assert (True, (), ()) == (seen.read, seen.backups, seen.archives[0].ranges)
    assert "barman -c /etc/barman.conf check s4" == found(seen, FindingCode.POSTGRES_UNREACHABLE).hint


def test_an_inactive_server_is_a_warning_unless_the_spec_says_so(replay: Replays, cluster: Clusters) -> None:
    """Barman then does nothing for it."""
    surprised, intended = look(replay("3.19.1"), cluster("s3"), cluster("other", engine_name="s3", active=False))

    assert Severity.WARNING is found(surprised, FindingCode.CONFIG_WARNING).severity
    assert Severity.OK is found(intended, FindingCode.CONFIG_WARNING).severity


def test_an_unknown_server_is_missing(replay: Replays, cluster: Clusters) -> None:
    """Nothing of it can be read, and nothing more is asked."""
    barman = replay("3.19.1")

    (seen,) = look(barman, cluster("nosuch"))

    assert (False, [(FindingCode.STANZA_MISSING, Severity.CRITICAL)]) == (seen.read, codes(seen))
    assert 1 == len(barman.rounds[1])


def test_a_wal_list_that_fails_leaves_only_the_ranges_of_its_server_unknown(replay: Replays, cluster: Clusters) -> None:
    """The other server is not touched by it."""
    good, bad = look(replay("3.19.1"), cluster("s1"), cluster("s2"))

    assert None is not good.archives[0].ranges
    assert (True, None) == (bad.read, bad.archives[0].ranges)
    assert "Barman failed: the list of s2 was not recorded" == found(bad, FindingCode.WAL_UNKNOWN).message


def test_a_lost_wal_file_is_a_gap_although_barman_lists_it(replay: Replays, cluster: Clusters) -> None:
    """xlog.db does not notice."""
    barman = replay("3.4.0")
    key = next(key for key in barman.answers if "find" in key and "s1" in key)
    code, paths, errors = barman.answers[key]
    kept = [line for line in paths.decode().splitlines() if not line.endswith("00000035")]
    barman.answers[key] = (code, "\n".join(kept).encode(), errors)

    (seen,) = look(barman, cluster("s1"))

    assert (SegmentRange(Timeline(1), 0x30, 0x34), SegmentRange(Timeline(1), 0x36, 0x3A)) == seen.archives[0].ranges
    finding = found(seen, FindingCode.REPOSITORY_ERROR)
    assert Severity.CRITICAL is finding.severity
    assert (
        "WAL segment 000000010000000000000035 is in Barman's list, but not in /srv/lab/h/3.4.0/s1/wals"
        == finding.message
    )


def looked_twice(barman: Any, cluster: Cluster, changes: dict[str, Callable[[bytes], bytes]]) -> Observation:
    """Hold the conversation with answers that change after the first look at index and files."""
    first = barman.say

    def say(command: Any) -> Any:
        outcome = first(command)
        for program, change in changes.items():
            if command.argv[0] == program:
                key = next(key for key in barman.answers if key.startswith(program) and "s1" in key)
                code, said, errors = barman.answers[key]
                barman.answers[key] = (code, change(said), errors)
        return outcome

    barman.say = say
    (seen,) = look(barman, cluster)
    return seen


def test_a_segment_archived_between_the_looks_is_not_lost(replay: Replays, cluster: Clusters) -> None:
    """The index is read after the files: what came in between is there at the second look, and counts from then on."""
    barman = replay("3.4.0")
    key = next(key for key in barman.answers if key.startswith("find") and "s1" in key)
    code, paths, errors = barman.answers[key]
    late = b"".join(line for line in paths.splitlines(keepends=True) if not line.endswith(b"0000003A\n"))
    barman.answers[key] = (code, late, errors)

    seen = looked_twice(barman, cluster("s1"), {"find": lambda _: paths})

    assert [] == codes(seen)
    assert (SegmentRange(Timeline(1), 0x30, 0x3A),) == seen.archives[0].ranges


def test_a_segment_that_retention_took_between_the_looks_is_not_lost(replay: Replays, cluster: Clusters) -> None:
    """What the index does not list any more was deleted on purpose."""
    barman = replay("3.4.0")
    gone = lambda said: b"".join(line for line in said.splitlines(keepends=True) if b"00000030" not in line)  # noqa: E731
    key = next(key for key in barman.answers if key.startswith("find") and "s1" in key)
    code, paths, errors = barman.answers[key]
    barman.answers[key] = (code, gone(paths), errors)

    seen = looked_twice(barman, cluster("s1"), {"cat": gone})

    assert [] == codes(seen)
    assert (SegmentRange(Timeline(1), 0x31, 0x3A),) == seen.archives[0].ranges


def test_nothing_is_looked_at_twice_without_a_reason(replay: Replays, cluster: Clusters) -> None:
    """Two rounds are enough where list and files agree."""
    barman = replay("3.4.0")
    look(barman, cluster("s1"))
    assert 2 == len(barman.rounds)


@pytest.mark.parametrize("readable", [True, False])
def test_a_wal_file_that_barman_does_not_list_is_a_warning(replay: Replays, cluster: Clusters, readable: bool) -> None:
    """A restore would not copy it."""
    barman = replay("3.4.0")
    listing = json.loads(barman.answers["sync-info s1"][1])
    listing["wals"] = [wal for wal in listing["wals"] if not wal["name"].endswith("35")]
    index = b"".join(line for line in index_of(barman).splitlines(keepends=True) if b"0035\t" not in line)
    barman = replay(
        "3.4.0",
        index=(0, index, b"") if readable else UNREADABLE,
        **{"sync-info__s1": (0, json.dumps(listing).encode(), b"")},
    )

    (seen,) = look(barman, cluster("s1"))

    assert 2 == len(seen.archives[0].ranges or ())
    assert Severity.WARNING is found(seen, FindingCode.REPOSITORY_ERROR).severity


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("index", [UNREADABLE, ABSENT, Failure.TIMEOUT, Failure.TOO_MUCH_OUTPUT])
def test_barman_is_asked_for_a_list_that_cannot_be_read_in_its_file(
    replay: Replays, cluster: Clusters, version: str, index: Any
) -> None:
    """In a round of its own, with the same result; an absent file beside WAL files is one that Barman rebuilds."""
    barman = replay(version, index=index)

    assert look(replay(version), cluster("s1")) == look(barman, cluster("s1"))
    assert ("sync-info s1",) == barman.rounds[2]


def test_an_index_without_the_newest_wal_is_not_believed(replay: Replays, cluster: Clusters) -> None:
    """Barman rewrites the file in place when it deletes a backup, and pgwrap takes no lock."""
    half = index_of(replay("3.19.1"))[:200]
    barman = replay("3.19.1", index=(0, half, b""))

    assert look(replay("3.19.1"), cluster("s1")) == look(barman, cluster("s1"))
    assert ("sync-info s1",) == barman.rounds[2]


def test_only_the_servers_that_need_it_are_asked_a_third_time(replay: Replays, cluster: Clusters) -> None:
    """The index of s2 may not be read."""
    barman = replay("3.19.1")

    look(barman, cluster("s1"), cluster("s2"))

    assert [("sync-info s2",)] == barman.rounds[3:]


def test_several_servers_are_read_by_one_process(replay: Replays, cluster: Clusters) -> None:
    """One for the indexes and one for the files, with the same result as one for each server."""
    barman = replay("3.4.0")
    index, files = (
        next(key for key in barman.answers if key.startswith(word) and "/s1/" in key) for word in ("cat", "find")
    )
    for key in (index, files):
        barman.answers[key.replace("s1", "s2")] = (0, barman.answers[key][1].replace(b"/s1/", b"/s2/"), b"")
    apart = look(barman, cluster("s1"), cluster("s2"))
    headings = (f"==> {index.removeprefix('cat -- ')} <==\n".replace("s1", name).encode() for name in ("s1", "s2"))
    tail, find = (key for key in barman.answers if key.startswith("tail") or "-print0" in key)
    barman.answers[tail] = (0, b"\n".join(heading + index_of(barman) for heading in headings), b"")
    paths = barman.answers[files][1] + barman.answers[files.replace("s1", "s2")][1]
    barman.answers[find] = (0, paths.replace(b"\n", b"\0"), b"")
    barman.rounds.clear()

    assert apart == look(barman, cluster("s1"), cluster("s2"))
    assert ["cat", "tail", "find"] == [asked.split()[0] for asked in barman.rounds[1]]
    assert 3 == len(barman.rounds)


def test_an_index_that_is_not_there_beside_no_wal_is_empty(replay: Replays, cluster: Clusters) -> None:
    """A first backup waits for its WAL; Barman need not be asked, and nothing is unknown."""

    def begin(document: dict[str, Any]) -> None:
        server = document["servers"]["s1"]
        server["wals"]["last_archived_wal_per_timeline"] = {}
        server["backups"] = {key: value | {"status": "WAITING_FOR_WALS"} for key, value in server["backups"].items()}

    barman = changed(replay, "3.19.1", begin, index=ABSENT)
    barman.answers[next(key for key in barman.answers if "find" in key and "s1" in key)] = (0, b"", b"")

    (seen,) = look(barman, cluster("s1"))

    assert ((), 2) == (seen.archives[0].ranges, len(barman.rounds))
    assert FindingCode.WAL_UNKNOWN not in {code for code, _ in codes(seen)}


def test_an_index_that_is_none_leaves_the_ranges_unknown(replay: Replays, cluster: Clusters) -> None:
    """Barman could not read it either."""
    index = index_of(replay("3.19.1")) + b"<<<<<<< HEAD\n"
    (seen,) = look(replay("3.19.1", index=(0, index, b"")), cluster("s1"))

    assert (None, Severity.UNKNOWN) == (seen.archives[0].ranges, found(seen, FindingCode.WAL_UNKNOWN).severity)
    assert "cannot parse line: '<<<<<<< HEAD'" in found(seen, FindingCode.WAL_UNKNOWN).message


def test_wal_in_a_bucket_is_asked_of_barman(replay: Replays, cluster: Clusters) -> None:
    """There is no file to read, and the second round asks at once."""
    bucket = "s3://bucket/s1/wals"
    barman = changed(replay, "3.20.1", lambda d: d["servers"]["s1"]["config"].update(wals_directory=bucket))

    (seen,) = look(barman, cluster("s1"))

    assert (2, True) == (len(barman.rounds), "sync-info s1" in barman.rounds[1])
    assert (SegmentRange(Timeline(1), 0x06, 0x11),) == seen.archives[0].ranges


def test_the_index_may_lie_in_a_directory_of_its_own(replay: Replays, cluster: Clusters) -> None:
    """3.13+."""
    barman = changed(replay, "3.13.3", lambda d: d["servers"]["s1"]["config"].update(xlogdb_directory="/index/"))
    barman.answers["cat -- /index/s1-xlog.db"] = (0, index_of(barman), b"")

    look(barman, cluster("s1"))

    assert "cat -- /index/s1-xlog.db" in barman.rounds[1]


def test_files_that_cannot_be_listed_are_a_note(replay: Replays, cluster: Clusters) -> None:
    """Barman's list then stands alone."""
    barman = replay("3.4.0")
    barman.answers[next(key for key in barman.answers if "find" in key and "s1" in key)] = (1, b"", b"find: no")

    (seen,) = look(barman, cluster("s1"))

    assert (1, Severity.OK) == (len(seen.archives[0].ranges or ()), found(seen, FindingCode.WAL_UNKNOWN).severity)


@pytest.mark.parametrize("index", [(0, b"", b""), ABSENT, UNREADABLE])
def test_an_empty_wal_list_beside_a_whole_backup_is_unknown(replay: Replays, cluster: Clusters, index: Any) -> None:
    """A newer Barman renames xlog.db, and an older one then sees an empty list."""
    listing = (0, b'{"backups": {}, "wals": [], "version": "3.4.0"}', b"")
    barman = replay("3.4.0", index=index, **{"sync-info__s1": listing})

    (seen,) = look(barman, cluster("s1"))

    assert (None, Severity.UNKNOWN) == (seen.archives[0].ranges, found(seen, FindingCode.WAL_UNKNOWN).severity)


def test_the_history_of_a_newer_timeline_is_fetched(replay: Replays, cluster: Clusters) -> None:
    """Only of the newest one: it names all its ancestors."""

    def promote(document: dict[str, Any]) -> None:
        wals = document["servers"]["s1"]["wals"]["last_archived_wal_per_timeline"]
        wals["00000003"] = {"name": "000000030000000000000042", "time": 1795346999.0, "compression": None}

    history = b"1\t0/3E000000\tno recovery target specified\n\n2\t0/40000000\tpromoted\n"
    barman = changed(replay, "3.4.0", promote, **{"get-wal__s1__00000003.history": (0, history, b"")})

    (seen,) = look(barman, cluster("s1"))

    ancestors = (
        Ancestor(Timeline(1), Lsn.parse("0/3E000000")),
        Ancestor(Timeline(2), Lsn.parse("0/40000000")),
    )
    assert (Ancestry(Timeline(3), ancestors),) == seen.archives[0].ancestries


def test_a_history_that_is_not_there_is_a_warning(replay: Replays, cluster: Clusters) -> None:
    """Restores cannot follow the cluster then."""

    def promote(document: dict[str, Any]) -> None:
        wals = document["servers"]["s1"]["wals"]["last_archived_wal_per_timeline"]
        wals["00000002"] = {"name": "000000020000000000000042", "time": 1795346999.0, "compression": None}

    missing = (1, b"", b"ERROR: WAL file '00000002.history' not found in server 's1'")
    (seen,) = look(changed(replay, "3.4.0", promote, **{"get-wal__s1__00000002.history": missing}), cluster("s1"))

    assert Severity.WARNING is found(seen, FindingCode.WAL_UNKNOWN).severity
    assert "not found in server 's1'" in found(seen, FindingCode.WAL_UNKNOWN).message


def test_a_backup_in_progress_is_running_and_a_forgotten_one_is_not(replay: Replays, cluster: Clusters) -> None:
    """Barman takes one backup of a server at a time, so one with a successor was interrupted."""

    def start(document: dict[str, Any]) -> None:
        backups = document["servers"]["s1"]["backups"]
        first, *_, last = sorted(backups)
        for backup_id in (first, last):
            backups[backup_id].update(status="STARTED", end_time=None, copy_stats=None)

    (seen,) = look(changed(replay, "3.19.1", start), cluster("s1"))

    assert ["failed", "running"] == [seen.backups[0].state, seen.backups[-1].state]
    assert "it was interrupted before it ended" == seen.backups[0].error
    (running,) = seen.running
    assert RunningOperation(operation="backup", started_at=seen.backups[-1].started_at, total_bytes=37952045) == running


def test_an_incremental_backup_names_what_a_restore_reads(replay: Replays, cluster: Clusters) -> None:
    """The full one first."""

    def chain(document: dict[str, Any]) -> None:
        backups = document["servers"]["s1"]["backups"]
        full, first, second, _ = sorted(backups)
        backups[first]["parent_backup_id"] = full
        backups[second]["parent_backup_id"] = first

    full, first, second, last = look(changed(replay, "3.19.1", chain), cluster("s1"))[0].backups

    assert ["full", "incremental", "incremental", "full"] == [b.type for b in (full, first, second, last)]
    assert ((full.id, first.id), first.id) == (second.needs, second.parent)


def test_an_override_file_is_drift_and_its_values_stay_hidden(replay: Replays, cluster: Clusters) -> None:
    """Barman loads it after the rendered file."""
    text = b"[s1]\ncompression = none\nconninfo = host=h password=s3cret\n[s2]\nactive = false\n"
    (seen,) = look(replay("3.19.1", **{"cat__--__/srv/lab/h/3.19.1/.barman.auto.conf": (0, text, b"")}), cluster("s1"))

    drift = found(seen, FindingCode.CONFIG_DRIFT)
    assert "Barman's own .barman.auto.conf overrides compression, conninfo in [s1]" == drift.message
    assert "s3cret" not in repr(seen)


@pytest.mark.parametrize(("known", "severity"), [(True, Severity.OK), (False, Severity.WARNING)])
def test_an_active_model_is_said_with_what_it_overrides(
    replay: Replays, cluster: Clusters, known: bool, severity: Severity
) -> None:
    """A warning only where the spec does not know the model."""

    def switch(document: dict[str, Any]) -> None:
        document["servers"]["s1"]["active_model"] = "failover"
        document["models"]["failover"] = {"config": {"conninfo": "host=b", "cluster": "s1", "compression": None}}

    models = (BarmanModel(name="failover"),) if known else ()
    (seen,) = look(changed(replay, "3.19.1", switch), cluster("s1", models=models))

    finding = found(seen, FindingCode.CONFIG_WARNING)
    assert ("the model failover is active and overrides conninfo", severity) == (finding.message, finding.severity)


def test_a_disabled_server_is_critical(replay: Replays, cluster: Clusters) -> None:
    """Barman refuses every command for it; its backups are still listed, its WAL is not."""

    def disable(document: dict[str, Any]) -> None:
        server = document["servers"]["s1"]
        server["config"]["disabled"] = True
        server["msg_list"] = ["Conflicting path: a=b"]

    (seen,) = look(changed(replay, "3.19.1", disable), cluster("s1"))

    assert [(FindingCode.CONFIG_WARNING, Severity.CRITICAL), (FindingCode.WAL_UNKNOWN, Severity.UNKNOWN)] == codes(seen)
    assert (None, 4) == (seen.enforced_by, len(seen.backups))


def test_a_warning_goes_to_the_server_that_it_names(replay: Replays, cluster: Clusters) -> None:
    """The recording's only warning is about s2, and harmless."""
    one, two = look(replay("3.4.0"), cluster("s1"), cluster("s2"))

    assert [] == codes(one)
    assert Severity.OK is found(two, FindingCode.CONFIG_WARNING).severity


def test_a_newer_version_works_with_a_note(replay: Replays, cluster: Clusters) -> None:
    """Its answers are read like those of the newest one known."""
    barman = changed(replay, "3.20.1", lambda d: d["global"]["system_info"].update(barman_ver="3.21.0"))

    (seen,) = look(barman, cluster("s1"))

    assert (True, [(FindingCode.ENGINE_UNKNOWN_VERSION, Severity.OK)]) == (seen.read, codes(seen))


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.MISSING, FindingCode.ENGINE_MISSING),
        (Failure.DENIED, FindingCode.ENGINE_FAILED),
        (Failure.UNREACHABLE, FindingCode.ENGINE_FAILED),
        (Failure.SKIPPED, FindingCode.NOT_ASKED),
        (Failure.TIMEOUT, FindingCode.ENGINE_TIMEOUT),
    ],
)
def test_a_barman_that_cannot_be_run_is_asked_once(
    replay: Replays, cluster: Clusters, failure: Failure, code: FindingCode
) -> None:
    """Nothing is read, and the cause is said."""
    barman = replay("3.4.0", diagnose=failure)
    barman.answers["-f json list-backups all"] = failure

    (seen,) = look(barman, cluster("s1"))

    assert (False, [(code, Severity.UNKNOWN)], 1) == (seen.read, codes(seen), len(barman.rounds))


@pytest.mark.parametrize("diagnosed", [Failure.TIMEOUT, (1, b"", NEWER), (0, b'{"global": ', b""), (-9, b"", b"")])
def test_a_diagnosis_spoilt_by_another_server_hides_nobody(replay: Replays, cluster: Clusters, diagnosed: Any) -> None:
    """Each server is then asked by itself; the backups that are not DONE come from the listing."""
    (seen,) = look(replay("3.19.1", diagnose=diagnosed), cluster("s1"))

    assert (True, "3.19.1") == (seen.read, seen.engine_version)
    assert ["done", "done", "done", "waiting_for_wal"] == [backup.state for backup in seen.backups]
    assert (SegmentRange(Timeline(1), 0x1F, 0x29),) == seen.archives[0].ranges
    assert "REDUNDANCY 2, minimum redundancy 1" == seen.policy
    assert [Severity.WARNING] == [severity for _, severity in codes(seen)]


def test_a_server_with_a_newer_catalog_is_unknown(replay: Replays, cluster: Clusters) -> None:
    """The one whose backup.info this Barman cannot read."""
    listing = b'{"_ERROR": ["Unsupported field \'gp_x\' found"], "s1": []}'
    barman = replay("3.19.1", **{"sync-info__s1": (1, b"", NEWER), "-f__json__list-backups__s1": (1, listing, b"")})
    barman.answers["diagnose"] = (1, b"", NEWER)
    barman.answers["-f json list-backups all"] = (1, listing, b"")

    (seen,) = look(barman, cluster("s1"))

    assert (False, [(FindingCode.OUTPUT_NOT_UNDERSTOOD, Severity.UNKNOWN)]) == (seen.read, codes(seen))
    assert "a newer Barman wrote this catalog: upgrade this one to at least that version" == seen.findings[0].hint


def test_retention_that_cannot_be_listed_is_unknown(replay: Replays, cluster: Clusters) -> None:
    """The rest of the observation stands."""
    broken = (1, b'{"_EXCEPTION": ["boom"], "s1": []}', b"")
    barman = replay("3.19.1", **{"-f__json__list-backups__s1": broken})
    barman.answers["-f json list-backups all"] = broken

    (seen,) = look(barman, cluster("s1"))

    assert (True, 4) == (seen.read, len(seen.backups))
    assert Severity.UNKNOWN is found(seen, FindingCode.OUTPUT_NOT_UNDERSTOOD).severity


def test_two_users_are_asked_separately(replay: Replays, cluster: Clusters) -> None:
    """Each one's commands run under its own name."""
    barman = replay("3.19.1")
    one, two = cluster("s1"), cluster("s4")
    request = ObserveRequest(
        instance=one.engine, clusters=(one, two), run_as={"s1": "barman", "s4": "other"}, deadline=5
    )

    seen = barman.hold(observe(request))

    assert ["s1", "s4"] == [observation.engine_name for observation in seen]
    assert [4, 4] == [len(asked) for asked in barman.rounds]
