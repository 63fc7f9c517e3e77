"""The conversation with pgBackRest, replayed from genuine answers of three versions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import pytest

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Observation, Severity
from pgwrap.domain.model import Cluster, Encryption, EngineInstance, EngineKind, PostgresTarget, Repository
from pgwrap.domain.wal import Lsn, SegmentRange, Timeline
from pgwrap.engines.pgbackrest.observe import observe
from pgwrap.engines.port import EngineVersion, ObserveRequest
from tests.unit.engines.pgbackrest.pgbackrest_fleet import (
    INSTANCE,
    LOCAL,
    OFFSITE,
    VERSIONS,
    cluster,
    drive,
    failed,
    outcome,
    recorded,
    replaying,
    stream,
)

OLDEST, NEWEST = EngineVersion((2, 45)), EngineVersion((2, 60, 0))
Answer = Callable[[Command], Outcome]


def look(
    answer: Answer, *clusters: Cluster, run_as: str | None = None
) -> tuple[tuple[Observation, ...], tuple[tuple[Command, ...], ...]]:
    """Observe these clusters (one called main when none is named)."""
    wanted = clusters or (cluster(),)
    request = ObserveRequest(instance=INSTANCE, clusters=wanted, run_as={one.name: run_as for one in wanted})
    return drive(observe(request, OLDEST, NEWEST), answer)


def codes(findings: tuple[Finding, ...]) -> list[FindingCode]:
    """The findings' codes."""
    return [finding.code for finding in findings]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_stanza_is_observed(version: str) -> None:
    """Backups, gaps, timelines and repositories come out of each version's own words."""
    (observation,), _ = look(replaying(version))
    assert (True, version, "15") == (
        observation.read,
        observation.engine_version,
        observation.postgres_version,
    )
    local, offsite = observation.archives
    assert local.ranges is not None
    assert offsite.ranges is not None
    assert SegmentRange(Timeline(1), 2, 4) in local.ranges
    assert SegmentRange(Timeline(1), 1, 9) in offsite.ranges
    assert Lsn.parse("0/A0000A0") == offsite.ancestries[0].ancestors[0].switched_at
    assert {"local", "offsite"} == {backup.repository for backup in observation.backups}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_number_of_processes_does_not_depend_on_the_backups(version: str) -> None:
    """Two for the catalog, one listing and one history for each repository."""
    _, rounds = look(replaying(version))
    assert [4, 2] == [len(asked) for asked in rounds]


def test_a_listing_that_was_too_early_is_asked_for_again() -> None:
    """The archives are listed beside `info`; a backup that ended in between must not seem to lack its WAL."""
    asked: list[Command] = []

    def answer(command: Command) -> Outcome:
        told = replaying("2.60.0")(command)
        if "repo-ls" not in command.argv or "--repo=1" not in command.argv:
            return told
        asked.append(command)
        return told if len(asked) > 1 else outcome(command, b'{"15-1":{"type":"path"}}')

    (observation,), rounds = look(answer)
    (whole,), _ = look(replaying("2.60.0"))
    assert whole == observation
    assert [4, 1, 2] == [len(commands) for commands in rounds]


def test_clusters_with_the_same_repositories_share_one_info() -> None:
    """However many clusters there are, `info` is asked once for all."""

    def answer(command: Command) -> Outcome:
        if "info" in command.argv:
            one = recorded("2.60.0", "info_ok.json").strip()[1:-1]
            return outcome(command, b"[" + one + b"," + one.replace(b'"name":"main"', b'"name":"two"') + b"]")
        return replaying("2.60.0")(command)

    observations, rounds = look(answer, cluster("main"), cluster("two"))
    assert ["pgbackrest version", "info"] == [rounds[0][0].quoted(), rounds[0][1].argv[-1]]
    assert 2 == len(rounds[0])
    assert ["main", "two"] == [observation.engine_name for observation in observations]
    assert all(observation.backups for observation in observations)


def listing_together(
    stanzas: Mapping[str, bytes], exit_code: int = 0, info: str = "info_ok.json"
) -> Callable[[Command], Outcome]:
    """A pgBackRest with the recorded stanza under two names, whose archives a common `repo-ls` lists like this."""
    alone = replaying("2.60.0", info)

    def answer(command: Command) -> Outcome:
        if "info" in command.argv:
            one = recorded("2.60.0", info).strip()[1:-1]
            return outcome(command, b"[" + one + b"," + one.replace(b'"name":"main"', b'"name":"two"') + b"]")
        if command.argv[-1] == "archive":
            entries = b",".join((b'".":{"type":"path"}', *stanzas.values()))
            return outcome(command, b"{" + entries + b"}" if exit_code == 0 else b"", exit_code=exit_code)
        return alone(command)

    return answer


def below(stanza: str) -> bytes:
    """The recorded listing of a stanza as it stands in one of the whole archive."""
    entries = json.loads(recorded("2.60.0", "repo_ls_archive_1.json"))
    moved = {stanza if name == "." else f"{stanza}/{name}": entry for name, entry in entries.items()}
    return json.dumps(moved).encode()[1:-1]


def test_archives_of_common_repositories_are_listed_at_once() -> None:
    """One process for each repository, and each stanza's facts are those that it would have told itself."""
    local, two = cluster("main", (LOCAL,)), cluster("two", (LOCAL,))
    answer = listing_together({"main": below("main"), "two": below("two")})
    together, rounds = look(answer, local, two)
    apart, rounds_apart = look(listing_together({}, exit_code=53), local, two)
    assert {("repo-ls", "archive")} == {command.argv[-2:] for command in rounds[1]}
    assert not any(word.startswith("--stanza") for command in rounds[1] for word in command.argv)
    assert together[0].archives[0] == apart[0].archives[0]
    assert together[0].archives[0].ranges
    assert len(rounds_apart) == len(rounds) + 1


@pytest.mark.parametrize("entry", [b'"two":{"type":"path"}', b'"two":{"type":"link","destination":"/else"}', None])
def test_a_stanza_without_entries_in_the_common_listing_is_listed_by_itself(entry: bytes | None) -> None:
    """Its directory may be a link, which pgBackRest follows only there."""
    stanzas = {"main": below("main")} | ({"two": entry} if entry else {})
    (_, two), rounds = look(listing_together(stanzas), cluster("main", (LOCAL,)), cluster("two", (LOCAL,)))
    assert {"--stanza=two"} == {word for command in rounds[2] for word in command.argv if word.startswith("--stanza")}
    assert two.archives[0].ranges


def test_long_archives_are_listed_side_by_side() -> None:
    """One process would take longer than several; stanzas that nobody asked about count too."""
    answer = listing_together({})

    def long(command: Command) -> Outcome:
        said = answer(command)
        return outcome(command, re.sub(rb'"max":"0{7}1.{16}"', b'"max":"000000010000000100000000"', said.stdout))

    _, rounds = look(long, cluster("main", (LOCAL,)), cluster("two", (LOCAL,)))
    assert all(any(word.startswith("--stanza") for word in command.argv) for command in rounds[1])


def test_clusters_with_repositories_of_their_own_are_asked_one_by_one() -> None:
    """`info` without a stanza would look at the global section's repositories alone."""
    own = cluster("own", repositories=(Repository(name="else", path="/else"),))
    _, rounds = look(replaying("2.60.0"), cluster(), own)
    asked = [command.argv for command in rounds[0] if "info" in command.argv]
    stanzas = [word for argv in asked for word in argv if word.startswith("--stanza=")]
    assert ["--stanza=main", "--stanza=own"] == stanzas


def test_the_whole_installation_decides_what_is_shared() -> None:
    """A named subset may look alike while another cluster keeps the repositories out of the global section."""
    own = cluster("own", repositories=(Repository(name="else", path="/else"),))
    request = ObserveRequest(
        instance=INSTANCE,
        clusters=(cluster("main"), cluster("two")),
        installation=(cluster("main"), cluster("two"), own),
    )
    _, rounds = drive(observe(request, OLDEST, NEWEST), replaying("2.60.0"))
    asked = [command.argv for command in rounds[0] if "info" in command.argv]
    assert 2 == sum(word.startswith("--stanza=") for argv in asked for word in argv)


def test_a_stanza_missing_from_the_common_answer_is_asked_for_by_name() -> None:
    """Only then does pgBackRest say what is wrong with it."""

    def answer(command: Command) -> Outcome:
        if "--stanza=nope" in command.argv and "info" in command.argv:
            return outcome(command, recorded("2.60.0", "info_other.json"))
        return replaying("2.60.0")(command)

    (main, nope), rounds = look(answer, cluster("main"), cluster("nope"))
    assert ["--stanza=nope"] == [word for word in rounds[1][0].argv if word.startswith("--stanza")]
    assert [FindingCode.STANZA_MISSING] * 2 == codes(nope.findings)
    assert (True, True) == (main.read, nope.read)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.MISSING, FindingCode.ENGINE_MISSING),
        (Failure.TIMEOUT, FindingCode.ENGINE_TIMEOUT),
        (Failure.DENIED, FindingCode.ENGINE_FAILED),
        (Failure.UNREACHABLE, FindingCode.ENGINE_FAILED),
        (Failure.TOO_MUCH_OUTPUT, FindingCode.OUTPUT_NOT_UNDERSTOOD),
        (Failure.SKIPPED, FindingCode.NOT_ASKED),
    ],
)
def test_an_engine_that_gives_no_answer_is_unknown(failure: Failure, code: FindingCode) -> None:
    """Every cluster gets its observation, unread, with the cause."""
    observations, rounds = look(lambda command: failed(command, failure), cluster("a"), cluster("b"))
    assert [(False, [code]), (False, [code])] == [(one.read, codes(one.findings)) for one in observations]
    assert {Severity.UNKNOWN} == {finding.severity for one in observations for finding in one.findings}
    assert 1 == len(rounds)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_engines_own_error_is_kept(version: str) -> None:
    """Its code, name and text are in the message, whatever stream they came on."""

    def answer(command: Command) -> Outcome:
        if "version" in command.argv:
            return replaying(version)(command)
        stem = "info_no_config"
        return outcome(command, stream(version, stem), stderr=stream(version, stem, error=True), exit_code=55)

    (observation,), _ = look(answer)
    assert [FindingCode.ENGINE_FAILED] == codes(observation.findings)
    assert "[055] FileMissingError: unable to open missing file" in observation.findings[0].message
    assert (False, version) == (observation.read, observation.engine_version)


def test_an_engine_killed_by_a_signal_is_said_so() -> None:
    """A negative exit code is a signal."""
    (observation,), _ = look(lambda command: outcome(command, exit_code=-9))
    assert "pgbackrest info was ended by signal 9" == observation.findings[0].message


def test_nonsense_is_a_finding_and_not_a_crash() -> None:
    """An answer that cannot be read leaves the cluster unknown."""
    (observation,), _ = look(lambda command: outcome(command, b"hello"))
    assert [FindingCode.OUTPUT_NOT_UNDERSTOOD] == codes(observation.findings)
    assert not observation.read


def test_an_unreadable_version_does_not_hide_the_catalog() -> None:
    """The backups are shown, with the doubt beside them."""

    def answer(command: Command) -> Outcome:
        return outcome(command, b"?") if "version" in command.argv else replaying("2.60.0")(command)

    (observation,), _ = look(answer)
    assert (True, None) == (observation.read, observation.engine_version)
    assert FindingCode.OUTPUT_NOT_UNDERSTOOD in codes(observation.findings)


def test_a_failed_listing_leaves_the_ranges_unknown() -> None:
    """Unknown is not "no gap": ranges are None and a finding says so."""

    def answer(command: Command) -> Outcome:
        if "repo-ls" in command.argv and "--repo=2" in command.argv:
            return failed(command, Failure.TIMEOUT)
        return replaying("2.60.0")(command)

    (observation,), _ = look(answer)
    assert [False, True] == [archive.ranges is None for archive in observation.archives]
    unknown = [finding for finding in observation.findings if finding.code is FindingCode.WAL_UNKNOWN]
    assert ["offsite"] == [finding.repository for finding in unknown]


def test_an_unreadable_history_is_said_so() -> None:
    """Without it nothing is known of where timeline 2 began."""

    def answer(command: Command) -> Outcome:
        return outcome(command, b"x") if "repo-get" in command.argv else replaying("2.60.0")(command)

    (observation,), _ = look(answer)
    assert ((), ()) == tuple(archive.ancestries for archive in observation.archives)
    assert 2 == codes(observation.findings).count(FindingCode.WAL_UNKNOWN)


def test_unreadable_repositories_are_unknown() -> None:
    """With no repository readable nothing is established."""
    (observation,), _ = look(replaying("2.60.0", "info_invalid.json"))
    assert not observation.read
    assert [FindingCode.REPOSITORY_ERROR] * 2 == codes(observation.findings)
    assert {Severity.UNKNOWN} == {state.severity for state in observation.repositories}


@pytest.mark.parametrize("version", VERSIONS)
def test_raw_bytes_do_not_reach_a_message(version: str) -> None:
    """The text is cut where the engine quotes an encrypted file."""
    (observation,), _ = look(replaying(version, "info_wrong_passphrase.bin"))
    message = observation.repositories[1].message
    assert message.isprintable()
    assert "at line 1:" in message
    assert message.endswith("…")


def test_a_repository_without_the_stanza_is_critical() -> None:
    """The other repository's backups are still shown."""
    (observation,), _ = look(replaying("2.60.0", "info_mixed_1.json"))
    assert ([FindingCode.STANZA_MISSING], "offsite") == (
        codes(observation.findings),
        observation.findings[0].repository,
    )
    assert 2 == len(observation.backups)


def test_an_upgraded_cluster_has_one_current_archive_in_each_repository() -> None:
    """The archive of the version that was upgraded from is kept apart."""
    (observation,), _ = look(replaying("2.60.0", "info_multidb.json"))
    assert [("15-1", False), ("17-2", True)] * 2 == [(one.archive, one.current) for one in observation.archives]
    assert ("17", "7710955316570680863") == (observation.postgres_version, observation.system_identifier)
    assert {"15-1"} == {backup.archive for backup in observation.backups}


def test_repositories_that_differ_from_the_spec_are_said() -> None:
    """What the engine's configuration lacks is critical; what it has besides is a warning."""
    three = (LOCAL, Repository(name="third", path="/third", key=3))
    (observation,), _ = look(replaying("2.60.0", "info_ok.json"), cluster("main", repositories=three))
    assert [("third", Severity.CRITICAL), ("repo2", Severity.WARNING)] == [
        (finding.repository, finding.severity)
        for finding in observation.findings
        if finding.code is FindingCode.REPOSITORY_MISMATCH
    ]


@pytest.mark.parametrize(("asked", "severity"), [(True, Severity.OK), (False, Severity.WARNING)])
def test_mixed_encryption_is_a_note_only_where_it_was_asked_for(*, asked: bool, severity: Severity) -> None:
    """The recorded stanza has a plain and an encrypted repository."""
    encryption = Encryption(cipher="aes-256-cbc") if asked else None
    offsite = Repository(name="offsite", path="/mnt/offsite", encryption=encryption)
    (observation,), _ = look(replaying("2.60.0"), cluster("main", repositories=(LOCAL, offsite)))
    mixed = [finding for finding in observation.findings if finding.code is FindingCode.ENCRYPTION_MIXED]
    assert [severity] == [finding.severity for finding in mixed]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_running_backup_is_seen(version: str) -> None:
    """With sizes it is a backup; a bare lock may be any maintenance."""
    (observation,), _ = look(replaying(version, "info_running.json"))
    expected = "backup or maintenance" if version == "2.45" else "backup"
    assert [expected] == [one.operation for one in observation.running]


@pytest.mark.parametrize("version", VERSIONS)
def test_ignored_options_are_warned_about(version: str) -> None:
    """pgBackRest ignores what it does not know; pgwrap says so."""

    def answer(command: Command) -> Outcome:
        if "info" in command.argv:
            stem = "info_warnings"
            return outcome(command, stream(version, stem), stderr=stream(version, stem, error=True))
        return replaying(version)(command)

    (observation,), _ = look(answer)
    warned = [finding.message for finding in observation.findings if finding.code is FindingCode.CONFIG_WARNING]
    assert "pgBackRest warns: configuration file contains invalid option 'foo'" in warned


@pytest.mark.parametrize(
    ("text", "severity"), [(b"pgBackRest 2.99.1\n", Severity.OK), (b"pgBackRest 2.30\n", Severity.WARNING)]
)
def test_versions_beyond_the_known_ones_work_with_a_note(text: bytes, severity: Severity) -> None:
    """A newer one is a note, an older one a warning; both are read."""

    def answer(command: Command) -> Outcome:
        return outcome(command, text) if "version" in command.argv else replaying("2.60.0")(command)

    (observation,), _ = look(answer)
    notes = [one for one in observation.findings if one.code is FindingCode.ENGINE_UNKNOWN_VERSION]
    assert ([severity], True) == ([note.severity for note in notes], observation.read)


def test_a_backup_whose_chain_is_broken_cannot_be_restored() -> None:
    """What it needs is not in the repository any more."""

    def answer(command: Command) -> Outcome:
        if "info" in command.argv:
            broken = recorded("2.60.0", "info_block.json").replace(b'["20261122-112608F"]', b'["20261122-000000F"]')
            return outcome(command, broken)
        return replaying("2.60.0")(command)

    (observation,), _ = look(answer, cluster("main", repositories=(LOCAL,)))
    assert [None, False] == [backup.restorable for backup in observation.backups]


def test_the_segment_size_comes_from_the_spec_when_no_backup_tells() -> None:
    """Without a backup the names alone may be ambiguous."""
    stated = Cluster(
        name="main",
        engine=INSTANCE,
        engine_name="main",
        repositories=(LOCAL, OFFSITE),
        postgres=PostgresTarget(wal_segment_size=64 << 20),
    )
    (observation,), _ = look(replaying("2.45", "info_nobackup.json"), stated)
    assert {64 << 20} == {archive.segment_size for archive in observation.archives}


def test_names_that_no_segment_size_explains_leave_the_ranges_unknown() -> None:
    """Guessing a size would invent gaps."""

    def answer(command: Command) -> Outcome:
        if "repo-ls" in command.argv:
            name = "15-1/0000000100000000/000000010000000000000FFF-" + "a" * 40
            return outcome(command, f'{{"{name}":{{"type":"file","size":1,"time":1}}}}'.encode())
        return replaying("2.45", "info_nobackup.json")(command)

    (observation,), _ = look(answer)
    assert [None, None] == [archive.ranges for archive in observation.archives]
    assert [FindingCode.WAL_UNKNOWN] * 2 == codes(observation.findings)


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (None, ["--config=/etc/x.conf"]),
        ("/etc/pgbackrest/conf.d", ["--config=/etc/x.conf", "--config-path=/etc/pgbackrest"]),
        ("/etc/more", ["--config=/etc/x.conf", "--config-include-path=/etc/more"]),
    ],
)
def test_the_include_directory_is_read_and_may_be_absent(include: str | None, expected: list[str]) -> None:
    """`--config-include-path` fails on a missing directory, `--config-path` does not."""
    instance = EngineInstance(
        name="b", kind=EngineKind.PGBACKREST, command="/opt/pgxbackup", config="/etc/x.conf", include=include, host="h"
    )
    one = Cluster(name="main", engine=instance, engine_name="main", repositories=(LOCAL, OFFSITE))
    request = ObserveRequest(instance=instance, clusters=(one,), run_as={"main": "pg"}, deadline=7)
    _, rounds = drive(observe(request, OLDEST, NEWEST), replaying("2.60.0"))
    commands = [command for asked in rounds for command in asked if "version" not in command.argv]
    assert {tuple(expected)} == {
        tuple(word for word in command.argv if word.startswith("--config")) for command in commands
    }
    assert {("/opt/pgxbackup", "pg", "h", 7)} == {
        (command.argv[0], command.run_as, command.host, command.deadline) for command in commands
    }
