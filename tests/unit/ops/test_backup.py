"""Taking backups: repositories, reasons, hooks, waiting, and what each failure leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import Observation, PostgresView
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, PostgresTarget, Repository, Secret
from pgwrap.domain.taking import FleetTaken
from pgwrap.engines.port import (
    BackupJob,
    BackupRequest,
    BackupResult,
    EngineVersion,
    NotHere,
    ObserveRequest,
    Progress,
    Settling,
)
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, PgwrapError, UsageError
from pgwrap.ops.backup import BackupOptions, Surroundings, backup
from pgwrap.ops.hooks import Hooks
from pgwrap.ops.world import World
from pgwrap.present.encode import encode
from pgwrap.system.port import Copying, PostgresQuestion, WalSwitch

NOW = datetime(2026, 11, 25, tzinfo=UTC)
INSTANCE = EngineInstance(name="one", kind=EngineKind.PGBACKREST, command="engine", config="/one.conf")
REPOSITORIES = (Repository(name="far", key=2, path="/far"), Repository(name="near", key=1, path="/near"))
ORDERS = Cluster(name="orders", engine=INSTANCE, engine_name="orders", repositories=REPOSITORIES)
SOCKET = PostgresTarget(socket_directory="/run")
BILLING = replace(
    ORDERS,
    name="billing",
    repositories=(),
    engine=replace(INSTANCE, name="two", kind=EngineKind.BARMAN),
    postgres=SOCKET,
)
HOOKS = (("before_backup", ("before",)), ("after_backup", ("after",)), ("on_failure", ("alarm",)))


@dataclass
class Yard:
    """An engine, a runner and a PostgreSQL that do as they are told, and remember it."""

    ends: list[BackupResult | NotHere | PgwrapError] = field(default_factory=list)
    """How one backup after the other ends; none left: well."""
    settled_after: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    view: PostgresView | None = None
    switch: WalSwitch = field(default_factory=lambda: WalSwitch(segment="0" * 24))
    only_full: bool = False
    ran: list[str] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    interval: float | None = None

    def default_user(self, cluster: Cluster) -> str | None:
        return "engine"

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        yield (Command(argv=("version",)),)
        return EngineVersion((1, 0))

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield ()
        return tuple(Observation(engine="pgbackrest", engine_name=one.engine_name) for one in request.clusters)

    def backup(self, request: BackupRequest) -> BackupJob:
        if self.only_full and request.type != "full":
            raise EngineUnsupported("only full ones")
        where = request.repository[1].name if request.repository else "there"
        end = self.ends.pop(0) if self.ends else BackupResult(id=f"B-{where}", type=request.type, state="done")
        ends = [end, BackupResult(id=f"B-{where}", type=request.type, state="done")]

        def conclude(outcome: Outcome) -> Conversation[BackupResult | NotHere]:
            yield from ()
            ended = ends.pop(0)
            if isinstance(ended, PgwrapError):
                raise ended
            return ended

        return BackupJob(
            command=Command(argv=("backup", where, request.type)),
            progress=lambda _: None,
            conclude=conclude,
            settle=lambda id_: Settling(commands=(Command(argv=("settle", id_)),), settled=self._settled),
        )

    def _settled(self, _: Outcome) -> bool:
        self.settled_after -= 1
        return self.settled_after <= 0

    def run(self, command: Command, on_line: object = None) -> Outcome:
        self.ran.append(" ".join(command.argv))
        if command.stdin is not None:
            self.inputs[command.argv[0]] = json.loads(command.stdin)
        return Outcome(command=command, exit_code=self.codes.get(command.argv[0], 0), stderr=b"no reason")

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        return tuple(self.run(command) for command in commands)

    def look(self, questions: tuple[PostgresQuestion, ...], deadline: float) -> dict[str, PostgresView]:
        return {question.key: self.view or PostgresView(reachable=True) for question in questions}

    def switch_wal(self, question: PostgresQuestion, deadline: float) -> WalSwitch:
        self.ran.append("switch")
        return self.switch

    def copying(self, question: PostgresQuestion, deadline: float) -> Copying | None:
        return None

    def progress(self, cluster: str, progress: Progress) -> None:
        self.said.append(progress.message)

    def say(self, text: str) -> None:
        self.said.append(text)


def no_secret(secret: Secret) -> str:
    """None is needed."""
    raise AssertionError(secret)


def take(yard: Yard, *clusters: Cluster, **options: Any) -> tuple[FleetTaken, tuple[PgwrapError, ...]]:
    """Take backups in that yard."""
    nothing: Any = None
    engine: Any = yard
    make: Callable[[], Any] = lambda: engine  # noqa: E731 - the registry holds functions
    world = World(
        runner=yard, files=nothing, postgres=yard, programs=nothing, secret=no_secret, masked=no_secret,
        engines={EngineKind.PGBACKREST: make, EngineKind.BARMAN: make},
    )  # fmt: skip
    hooks = Hooks(world=world, encode=lambda context: json.dumps(encode(context)).encode())
    around = Surroundings(world=world, hooks=hooks, reporter=yard, clock=lambda: NOW)
    return backup(Fleet(clusters=clusters), clusters, BackupOptions(**options), around)


def told(answer: FleetTaken) -> list[tuple[str | None, str, str | None]]:
    """Repository, state and id of each."""
    return [(one.repository, one.state, one.id) for one in answer.backups]


def test_every_repository_in_the_order_of_its_number() -> None:
    """Whatever the order in the spec."""
    answer, errors = take(Yard(), ORDERS)
    assert told(answer) == [("near", "done", "B-near"), ("far", "done", "B-far")]
    assert errors == ()


def test_one_failure_holds_no_other_repository_back() -> None:
    """The failure is one result and one error."""
    answer, errors = take(Yard(ends=[EngineFailed("disk full")]), ORDERS)
    assert told(answer) == [("near", "failed", None), ("far", "done", "B-far")]
    assert [(error.cluster, error.message) for error in errors] == [("orders", "disk full")]
    assert answer.backups[0].reason == "disk full"


def test_an_unknown_repository_is_told_before_anything_runs() -> None:
    """With those that there are."""
    yard = Yard()
    with pytest.raises(UsageError, match="no repository called 'moon'") as caught:
        take(yard, ORDERS, repository="moon")
    assert (yard.ran, caught.value.hint) == ([], "its repositories: near, far")


def test_of_its_own_choice_it_falls_back_to_what_the_engine_can() -> None:
    """Asked for by name, the same is refused."""
    answer, _ = take(Yard(only_full=True), ORDERS, type="auto", repository="near")
    assert answer.backups[0].type == "full"
    _, (error,) = take(Yard(only_full=True), ORDERS, type="incremental", repository="near")
    assert error.exit_code == 4


def test_another_node_is_no_failure() -> None:
    """Told by PostgreSQL before, or by the engine."""
    standby = PostgresView(reachable=True, in_recovery=True)
    yard = Yard(view=standby)
    answer, errors = take(yard, replace(ORDERS, postgres=SOCKET))
    assert (told(answer), errors, yard.ran) == ([(None, "skipped", None)], (), [])
    answer, errors = take(Yard(ends=[NotHere(reason="all in recovery")]), ORDERS, repository="near")
    assert (told(answer), errors) == ([("near", "skipped", None)], ())


def test_programs_stand_around_a_backup() -> None:
    """In order, each told what it may know."""
    yard = Yard()
    take(yard, replace(ORDERS, hooks=HOOKS), repository="near")
    assert yard.ran == ["version", "before", "backup near full", "after"]
    assert yard.inputs["before"]["backup"] is None
    assert yard.inputs["after"]["backup"]["id"] == "B-near"


def test_a_program_before_that_fails_prevents_the_backup() -> None:
    """And the one for failures hears of it."""
    yard = Yard(codes={"before": 3})
    answer, (error,) = take(yard, replace(ORDERS, hooks=HOOKS), repository="near")
    assert yard.ran == ["version", "before", "alarm"]
    assert (error.exit_code, error.slug) == (5, "hook-failed")
    assert told(answer) == [("near", "failed", None)]


def test_a_program_after_that_fails_leaves_the_backup() -> None:
    """It is there, and yet the exit code tells."""
    answer, (error,) = take(Yard(codes={"after": 1}), replace(ORDERS, hooks=HOOKS), repository="near")
    assert (told(answer), error.slug) == ([("near", "done", "B-near")], "hook-failed")


def test_a_program_for_failures_that_fails_hides_nothing() -> None:
    """The first error counts; the second is a note."""
    yard = Yard(ends=[EngineFailed("broken")], codes={"alarm": 1})
    answer, (error,) = take(yard, replace(ORDERS, hooks=HOOKS), repository="near")
    assert error.message == "broken"
    assert "the on_failure program failed" in answer.backups[0].notes[0]


def test_barman_runs_its_own_programs() -> None:
    """All but the one for failures."""
    yard = Yard(ends=[EngineFailed("broken")])
    take(yard, replace(BILLING, hooks=HOOKS))
    assert [line for line in yard.ran if line in ("before", "after", "alarm")] == ["alarm"]


WAITING = BackupResult(id="W", type="full", state="waiting_for_wal")


def test_nobody_waits_unasked() -> None:
    """Cron will see to it."""
    yard = Yard(ends=[WAITING])
    assert told(take(yard, BILLING)[0]) == [("repo1", "waiting_for_wal", "W")]
    assert "switch" not in yard.ran


def test_waiting_closes_the_segment_once_and_ends_when_it_arrives() -> None:
    """An idle server would never close it."""
    yard = Yard(ends=[WAITING], settled_after=2)
    answer, errors = take(yard, BILLING, wait=30.0)
    assert (told(answer), errors) == ([("repo1", "done", "W")], ())
    assert yard.ran[-3:] == ["switch", "settle W", "settle W"]


@pytest.mark.parametrize(
    ("cluster", "because"),
    [
        (BILLING, "permission denied for function pg_switch_wal"),
        (replace(BILLING, postgres=PostgresTarget()), "the spec gives no connection"),
    ],
)
def test_when_time_is_up_it_says_why_the_segment_was_not_closed(cluster: Cluster, because: str) -> None:
    """The backup stays, and waits on."""
    yard = Yard(
        ends=[WAITING], settled_after=99, switch=WalSwitch(error="permission denied for function pg_switch_wal")
    )
    answer, errors = take(yard, cluster, wait=0.0)
    assert (told(answer), errors) == ([("repo1", "waiting_for_wal", "W")], ())
    assert because in answer.backups[0].reason


def test_busy_without_patience_is_an_error_at_once() -> None:
    """Exit 7."""
    _, (error,) = take(Yard(ends=[Busy("locked")]), ORDERS, repository="near")
    assert (error.exit_code, error.message) == (7, "locked")


def test_busy_with_patience_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the lock is free."""
    monkeypatch.setattr("pgwrap.ops.backup._BUSY_PAUSE", 0.01)
    yard = Yard(ends=[Busy("locked")])
    answer, errors = take(yard, ORDERS, repository="near", lock_wait=5.0)
    assert (told(answer), errors) == ([("near", "done", "B-near")], ())
    assert yard.ran.count("backup near full") == 2
    assert "waiting for another backup to end" in yard.said
