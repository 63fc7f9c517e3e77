"""Holding a backup: which one is meant, what is run, and that what holds is asked and not assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import Backup, Finding, FindingCode, Held, Observation, Severity
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, Secret
from pgwrap.engines.port import HoldJob, HoldRequest, ObserveRequest
from pgwrap.errors import EngineFailed, EngineMissing, EngineTimeout, EngineUnsupported, OutputNotUnderstood, UsageError
from pgwrap.ops.hold import HoldOptions, HoldPlan, apply_hold, named, plan_hold, show_hold
from pgwrap.ops.world import World

INSTANCE = EngineInstance(name="one", kind=EngineKind.BARMAN, command="barman", config="/one.conf")
CLUSTER = Cluster(name="billing", engine=INSTANCE, engine_name="billing")
FLEET = Fleet(clusters=(CLUSTER,))
OLD, NEW, LAST = "20261101T000000", "20261115T000000", "20261122T000000"


def backup(id_: str, **changes: Any) -> Backup:
    """A backup of that id."""
    values: dict[str, Any] = {
        "engine": "barman", "engine_name": "billing", "id": id_, "repository": "vault", "type": "full", "state": "done",
    }  # fmt: skip
    return Backup(**(values | changes))


BACKUPS = (backup(OLD), backup(NEW), backup(LAST, state="waiting_for_wal"))


@dataclass
class Keeper:
    """An engine that keeps in mind what it was told, unless it is forgetful."""

    held: Held = False
    forgetful: bool = False
    able: bool = True
    observation: Observation = field(
        default_factory=lambda: Observation(engine="barman", engine_name="billing", backups=BACKUPS)
    )
    ran: list[str] = field(default_factory=list)

    def default_user(self, cluster: Cluster) -> str | None:
        return "barman"

    def check_holds(self, cluster: Cluster) -> None:
        if not self.able:
            raise EngineUnsupported("it cannot", cluster=cluster.name)

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield (Command(argv=("look",)),)
        return (self.observation,)

    def hold(self, request: HoldRequest) -> HoldJob:
        def done(outcome: Outcome) -> None:
            self.held = self.held if self.forgetful else request.target

        return HoldJob(
            command=Command(argv=("keep", request.backup.id), run_as=request.run_as),
            check=done,
            question=Command(argv=("ask", request.backup.id)),
            answer=lambda _: self.held,
            notes=("mind the slot",),
        )

    def run(self, command: Command, on_line: object = None) -> Outcome:
        self.ran.append(" ".join(command.argv))
        return Outcome(command=command, exit_code=0)

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        return tuple(self.run(command) for command in commands)


def no_secret(secret: Secret) -> str:
    """None is needed."""
    raise AssertionError(secret)


def world(keeper: Keeper) -> World:
    """A world with that engine, which is its runner, too."""
    nothing: Any = None
    engines: Any = {EngineKind.BARMAN: lambda: keeper}
    return World(
        runner=keeper, files=nothing, postgres=nothing, programs=nothing, secret=no_secret, masked=no_secret,
        engines=engines,
    )  # fmt: skip


def plan(keeper: Keeper, text: str = NEW, target: Held = "full") -> HoldPlan:
    """The plan for a backup."""
    return plan_hold(FLEET, CLUSTER, world(keeper), HoldOptions(backup=text, target=target))


@pytest.mark.parametrize(("text", "expected"), [(NEW, NEW), (LAST, LAST), ("latest", NEW), ("oldest", OLD)])
def test_a_backup_is_named_by_its_id_or_place(text: str, expected: str) -> None:
    """The latest and oldest are those that are done."""
    assert expected == named(CLUSTER, BACKUPS, text).id


def test_an_unknown_backup_is_told_with_those_that_look_like_it() -> None:
    """And where all of them are."""
    with pytest.raises(UsageError, match="billing has no backup '20261115T00000'") as error:
        named(CLUSTER, BACKUPS, "20261115T00000")
    assert error.value.hint.startswith(f"did you mean {NEW}")
    with pytest.raises(UsageError) as error:
        named(CLUSTER, BACKUPS, "mistake")
    assert error.value.hint == f"did you mean {LAST} or {NEW} or {OLD}? All: pgwrap list billing"


@pytest.mark.parametrize("backups", [(), (backup(LAST, state="running"),)])
def test_there_is_no_latest_without_one_that_is_done(backups: tuple[Backup, ...]) -> None:
    """Never a running one instead."""
    with pytest.raises(UsageError, match="billing has no backup that is done"):
        named(CLUSTER, backups, "latest")


def test_a_hold_is_done_and_asked_for() -> None:
    """What held before, what is run, what holds now."""
    keeper = Keeper()

    result = apply_hold(plan(keeper), world(keeper))

    assert ["look", f"ask {NEW}", f"keep {NEW}", f"ask {NEW}"] == keeper.ran
    assert (False, "full", True, ("mind the slot",)) == (result.before, result.held, result.changed, result.notes)
    assert f"sudo -u barman keep {NEW}" == result.command


@pytest.mark.parametrize("held", ["full", False])
def test_what_is_so_already_is_left_alone(held: Held) -> None:
    """Nothing is run, and nothing is noted."""
    keeper = Keeper(held=held)

    result = apply_hold(plan(keeper, target=held), world(keeper))

    assert ["look", f"ask {NEW}"] == keeper.ran
    assert (held, False, None, ()) == (result.held, result.changed, result.command, result.notes)


def test_another_target_is_a_change() -> None:
    """From full to standalone."""
    keeper = Keeper(held="full")

    result = apply_hold(plan(keeper, target="standalone"), world(keeper))

    assert ("full", "standalone", True) == (result.before, result.held, result.changed)


def test_an_engine_that_did_not_do_it_is_found_out() -> None:
    """It reported no error."""
    keeper = Keeper(forgetful=True)

    with pytest.raises(EngineFailed, match=f"barman reported no error, yet {NEW} is not held"):
        apply_hold(plan(keeper), world(keeper))


def test_a_dry_run_shows_the_command_and_runs_it_not() -> None:
    """It only looks and asks."""
    keeper = Keeper()

    result = show_hold(plan(keeper))

    assert ["look", f"ask {NEW}"] == keeper.ran
    assert (f"sudo -u barman keep {NEW}", True, False, False) == (
        result.command,
        result.dry_run,
        result.changed,
        result.held,
    )


def test_an_engine_that_holds_nothing_is_not_even_asked() -> None:
    """Its catalog need not be readable to know that."""
    keeper = Keeper(able=False)

    with pytest.raises(EngineUnsupported):
        plan(keeper)
    assert [] == keeper.ran


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (FindingCode.ENGINE_MISSING, EngineMissing),
        (FindingCode.ENGINE_TIMEOUT, EngineTimeout),
        (FindingCode.OUTPUT_NOT_UNDERSTOOD, OutputNotUnderstood),
        (FindingCode.STANZA_MISSING, EngineFailed),
    ],
)
def test_a_cluster_that_cannot_be_read_is_an_error_of_its_kind(
    code: FindingCode, error: type[Exception], build_unread: Callable[..., Observation]
) -> None:
    """And never an unknown backup."""
    with pytest.raises(error, match="so it is"):
        plan(Keeper(observation=build_unread(code)))


@pytest.fixture
def build_unread() -> Callable[..., Observation]:
    """An observation that was not read, for a reason."""

    def build(code: FindingCode) -> Observation:
        finding = Finding(code=code, severity=Severity.UNKNOWN, message="so it is")
        return Observation(engine="barman", engine_name="billing", read=False, findings=(finding,))

    return build


def test_silence_is_an_error_too() -> None:
    """Not read, without a reason."""
    with pytest.raises(EngineFailed, match="barman told nothing of billing"):
        plan(Keeper(observation=Observation(engine="barman", engine_name="billing", read=False)))
