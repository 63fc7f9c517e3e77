"""`pgwrap backup` on real engines: types of its own choice, several repositories, locks, kills, hooks, standbys."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.estate import BILLING, ORDERS, Estate, search_path
from integration.lab.mischief import holding, small_disk, when_running
from integration.lab.postgres import describe_server
from integration.lab.process import Ran, start, stop_group

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
HOOK = "cat > {directory}/$PGWRAP_EVENT.json"


@pytest.fixture(scope="module")
def two(make_estate: MakeEstate) -> Estate:
    """Both engines, nothing backed up yet."""
    return make_estate(PAIR)


@pytest.fixture(scope="module")
def several(make_estate: MakeEstate) -> Estate:
    """pgBackRest with two repositories, and programs around its backups."""
    made = make_estate({ORDERS: "pgbackrest"})
    made.room.directory("second")
    made.room.directory("hooks", mode=0o777)
    rewrite(
        made,
        ("repositories:\n", f"repositories:\n  second: {{type: posix, path: {made.room.path}/second}}\n"),
        ("repositories: [local]", "repositories: [local, second]"),
    )
    made.render()
    made.start_engine(ORDERS)
    return made


def rewrite(made: Estate, *changes: tuple[str, str]) -> None:
    """Change words of the spec."""
    text = made.spec.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    made.spec.write_text(text)


def taken(ran: Ran) -> list[dict[str, Any]]:
    """The results of `-o json`."""
    backups: list[dict[str, Any]] = json.loads(ran.stdout)["result"]["backups"]
    return backups


def labels(made: Estate, key: int | None = None) -> list[str]:
    """pgBackRest's own list, of one repository or of all."""
    (stanza,) = json.loads(made.pgbackrest.run("info", "--output=json").stdout)
    return [one["label"] for one in stanza["backup"] if key in (None, one["database"]["repo-key"])]


def known(made: Estate, name: str) -> set[str]:
    """The backups that the engine itself calls whole."""
    if made.engines[name] == "pgbackrest":
        return set(labels(made))
    return {id_ for id_, state in made.barman.backup_states(name).items() if state in ("DONE", "WAITING_FOR_WALS")}


def locks(made: Estate, name: str) -> tuple[Path, ...]:
    """What a running backup holds, in every version."""
    if made.engines[name] == "barman":
        return (made.room.path / "barman" / f".{name}-backup.lock",)
    return tuple(made.room.path / "lock" / f"{name}-backup{end}.lock" for end in ("", "-1"))


def test_a_first_backup_of_its_own_choice_is_full(two: Estate) -> None:
    """There is nothing to build on; both clusters at a time, each with its reason."""
    ran = two.pgwrap("backup", "--all", "--type", "auto", "--jobs", "2", "--output", "json")
    results = taken(ran)
    assert [(one["cluster"], one["type"]) for one in results] == [(ORDERS, "full"), (BILLING, "full")]
    assert all("no full backup to build on" in one["reason"] for one in results)
    assert {one["id"] for one in results} == known(two, ORDERS) | known(two, BILLING)


def test_the_next_one_builds_on_it(two: Estate) -> None:
    """pgBackRest takes an incremental one; Barman one only where PostgreSQL keeps summaries."""
    assert taken(two.pgwrap("backup", ORDERS, "--type", "auto", "-o", "json"))[0]["type"] == "incremental"
    two.commit_and_archive(BILLING)
    (billing,) = taken(two.pgwrap("backup", BILLING, "--type", "auto", "-o", "json"))
    assert billing["type"] == "full"
    assert billing["reason"]


def test_an_idle_cluster_keeps_nobody_waiting(two: Estate) -> None:
    """Nothing is written, and yet the last segment arrives: pgwrap has it closed."""
    ran = two.pgwrap("backup", BILLING, "--wait-timeout", "90", "--output", "json")
    (result,) = taken(ran)
    assert result["state"] == "done"
    assert two.barman.backup_states(BILLING)[result["id"]] == "DONE"


def test_several_clusters_are_told_line_by_line(two: Estate) -> None:
    """Cluster, repository, id, type, state."""
    lines = [line.split() for line in two.pgwrap("backup", ORDERS, BILLING, "--wait").stdout.splitlines()]
    assert [(line[0], line[1], line[3], line[4]) for line in lines] == [
        (ORDERS, "local", "full", "done"),
        (BILLING, "repo1", "full", "done"),
    ]
    assert lines[0][2] in known(two, ORDERS)
    assert lines[1][2] in known(two, BILLING)


@pytest.mark.parametrize("name", PAIR)
def test_busy_is_seven(two: Estate, name: str) -> None:
    """Another process holds the engine's lock."""
    with holding(two.room, *locks(two, name)):
        ran = two.pgwrap("backup", name, check=False)
    assert ran.exit_code == 7
    assert ran.stdout == ""


@pytest.mark.thorough("billing")
@pytest.mark.parametrize("name", PAIR)
def test_patience_outlasts_a_lock(two: Estate, name: str) -> None:
    """`--lock-wait` tries again until it is free."""
    with holding(two.room, *locks(two, name), seconds=6):
        ran = two.pgwrap("backup", name, "--lock-wait", "60")
    assert ran.stdout.strip() in known(two, name)


@pytest.mark.parametrize("name", PAIR)
def test_a_killed_engine_is_a_failure_and_the_next_backup_works(two: Estate, name: str) -> None:
    """kill -9 in the middle: exit 5, no new backup, nothing in the way of the next."""
    before = known(two, name)
    with running(two, name) as process:
        when_running(two.room, *engine_words(two, name), act=lambda pid: os.kill(pid, signal.SIGKILL))
        process.communicate(timeout=60)
    assert process.returncode == 5
    assert known(two, name) == before
    ran = two.pgwrap("backup", name, "--lock-wait", "30")
    assert known(two, name) == before | {ran.stdout.strip()}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_backup_stops_its_engine(two: Estate, name: str, number: signal.Signals, exit_code: int) -> None:
    """The engine ends with pgwrap, and no backup is claimed."""
    before = known(two, name)
    with running(two, name) as process:
        engine = when_running(two.room, *engine_words(two, name), act=lambda _: process.send_signal(number))
        process.communicate(timeout=60)
    assert process.returncode == exit_code
    assert not Path(f"/proc/{engine}").exists()
    assert known(two, name) == before


def engine_words(made: Estate, name: str) -> tuple[str, ...]:
    """What tells the process that takes the backup of a cluster."""
    return ("barman", "json backup", name) if made.engines[name] == "barman" else (f"--stanza={name}", "--type=full")


@contextmanager
def running(made: Estate, name: str) -> Iterator[Any]:
    """`pgwrap backup` in the background, with a clean end whatever happens."""
    environment = {"PGWRAP_CONFIG": str(made.spec), "PATH": search_path(made.room.machine)}
    with start(("pgwrap", "backup", name), environment=environment, directory=made.room.path) as process:
        try:
            yield process
        finally:
            stop_group(process)


def test_each_repository_gets_a_backup_of_its_own(several: Estate) -> None:
    """pgBackRest itself would back up to the first alone."""
    results = taken(several.pgwrap("backup", ORDERS, "--output", "json"))
    assert [(one["repository"], one["state"]) for one in results] == [("local", "done"), ("second", "done")]
    for key, one in enumerate(results, start=1):
        assert labels(several, key) == [one["id"]]


def test_one_repository_can_be_named_and_annotated(several: Estate) -> None:
    """The other is left alone; what was noted is with the backup."""
    before = labels(several, 1)
    command = ("backup", ORDERS, "--repository", "second", "--type", "incremental", "--annotation", "ticket=OPS-42")
    label = several.pgwrap(*command).stdout.strip()
    assert labels(several, 1) == before
    answer = json.loads(several.pgbackrest.run("info", "--output=json", "--repo=2").stdout)
    (found,) = (one for one in answer[0]["backup"] if one["label"] == label)
    assert found["annotation"] == {"ticket": "OPS-42"}


@pytest.fixture
def hooked(several: Estate) -> Iterator[Callable[[str], Estate]]:
    """Gives the cluster programs that keep what they were told; the argument is the one before a backup."""
    text = several.spec.read_text()
    directory = several.room.path / "hooks"

    def make(before: str) -> Estate:
        keep = json.dumps(["sh", "-c", HOOK.format(directory=directory)])
        first = json.dumps(["sh", "-c", f"{HOOK.format(directory=directory)}; {before}"])
        words = f"    hooks: {{before_backup: {first}, after_backup: {keep}, on_failure: {keep}}}\n"
        rewrite(several, ("    repositories: [local, second]\n", f"    repositories: [local, second]\n{words}"))
        for path in directory.iterdir():
            path.unlink()
        return several

    yield make
    several.spec.write_text(text)


def heard(made: Estate) -> dict[str, Any]:
    """What each program was told."""
    return {path.stem: json.loads(path.read_text()) for path in (made.room.path / "hooks").iterdir()}


def test_programs_before_and_after_are_told_what_happens(hooked: Callable[[str], Estate]) -> None:
    """Before: what will be taken. After: what was. Both as one JSON object on stdin."""
    made = hooked("true")
    label = made.pgwrap("backup", ORDERS, "--repository", "local", "--type", "differential").stdout.strip()
    told = heard(made)
    assert told.keys() == {"before_backup", "after_backup"}
    assert told["before_backup"]["backup"] is None
    assert told["before_backup"]["type"] == told["after_backup"]["type"] == "differential"
    assert told["after_backup"]["backup"]["id"] == label
    assert told["after_backup"]["schema"] == "pgwrap/hook/1"


def test_a_program_that_refuses_keeps_the_backup_from_being_taken(hooked: Callable[[str], Estate]) -> None:
    """Exit 5, the engine was not run, and the program for failures hears why."""
    made = hooked("echo not tonight >&2; exit 3")
    before = labels(made)
    ran = made.pgwrap("backup", ORDERS, "--repository", "local", check=False)
    assert ran.exit_code == 5
    assert "the before_backup program failed: it ended with 3: not tonight" in ran.stderr
    assert labels(made) == before
    told = heard(made)
    assert told.keys() == {"before_backup", "on_failure"}
    assert told["on_failure"]["backup"]["state"] == "failed"


@pytest.mark.thorough
def test_a_full_disk_fails_one_repository_and_not_the_other(several: Estate) -> None:
    """The failure is told, the other repository has its backup, and nothing that was there is lost."""
    tiny = several.room.directory("tiny")
    text = several.spec.read_text()
    with small_disk(several.room, tiny, "1500k") as possible:
        if not possible:
            pytest.skip("no file system may be mounted here")
        rewrite(
            several,
            ("repositories:\n", f"repositories:\n  tiny: {{type: posix, path: {tiny}}}\n"),
            ("[local, second]", "[local, second, tiny]"),
        )
        try:
            several.render()
            several.pgbackrest.run(f"--stanza={ORDERS}", "stanza-create")
            before = labels(several)
            ran = several.pgwrap("backup", ORDERS, "--output", "json", check=False)
            assert ran.exit_code == 5
            answer = json.loads(ran.stdout)
            assert answer["outcome"] == "partial"
            states = {one["repository"]: one["state"] for one in answer["result"]["backups"]}
            assert states["tiny"] == "failed"
            assert set(before) <= set(labels(several))
        finally:
            several.spec.write_text(text)
            several.render()


def test_a_standby_is_not_the_node_to_take_it_on(several: Estate) -> None:
    """The same spec on a standby's node: exit 0, a reason, no backup."""
    primary = several.servers[ORDERS]
    standby = describe_server(several.room, "standby")
    several.room.run(
        *(primary.program("pg_basebackup"), "--pgdata", str(standby.data), "--write-recovery-conf", "--no-sync"),
        *("--checkpoint", "fast", "--host", str(primary.sockets), "--port", str(primary.port)),
        *("--username", "postgres"),
    )
    standby.prepare()
    standby.start()
    text = several.spec.read_text()
    try:
        before = labels(several)
        rewrite(
            several,
            (str(primary.data), str(standby.data)),
            (str(primary.sockets), str(standby.sockets)),
            (f"port: {primary.port}", f"port: {standby.port}"),
        )
        ran = several.pgwrap("backup", ORDERS)
        assert (ran.exit_code, ran.stdout) == (0, "")
        assert "no backup is taken here: PostgreSQL here is a standby" in ran.stderr
        several.spec.write_text(
            several.spec.read_text().replace("    postgres:\n", "    postgres:\n      ask: false\n", 1)
        )
        several.render()
        ran = several.pgwrap("backup", ORDERS, "--repository", "local", check=False)
        assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
        assert "in recovery" in ran.stderr
        assert labels(several) == before
    finally:
        standby.stop("immediate")
        several.spec.write_text(text)
        several.render()
