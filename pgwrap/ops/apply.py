"""Does what a plan says, step by step, and takes files back that the engine refuses. It plans nothing itself.

Every step can be done twice, and a file is always the old or the new one whole; so a run that was killed is finished
by the next one, which finds out from the world itself what is left.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import field
from functools import partial

from pgwrap.domain.applying import Applied, StepResult
from pgwrap.domain.model import Fleet
from pgwrap.domain.plan import AlterSystem, Check, Note, Plan, Retire, Run, Step, Switch, WriteFile
from pgwrap.errors import EngineFailed, PgwrapError, Refused
from pgwrap.ops.installed import READ_LIMIT
from pgwrap.ops.planning import run_trial
from pgwrap.ops.records import Records
from pgwrap.ops.world import World, by_instance
from pgwrap.records import dataclass


def locked(fleet: Fleet, world: World) -> AbstractContextManager[None]:
    """Only one apply at a time works from a state directory; Busy for the second."""
    return world.files.exclusive(posixpath.join(fleet.state, "lock", "apply.lock"))


def clean_up(fleet: Fleet, world: World) -> None:
    """Put right what a killed run left half-done among the native files; only while the lock is held."""
    for instance in by_instance(fleet.clusters):
        if instance.host is None:
            for directory in dict.fromkeys((posixpath.dirname(instance.config), instance.include)):
                if directory is not None and world.files.entries(directory):
                    world.files.sweep(directory)


def require_consent(plan: Plan, *, force: bool) -> None:
    """Refused when something would be overwritten or lost that `--force` did not ask for."""
    if plan.objections and not force:
        raise Refused(
            "; ".join(plan.objections),
            hint="look with `pgwrap diff`, take what matters into the spec; --force replaces them, and keeps each old "
            "file beside the new one as NAME.old",
        )


def show(plan: Plan) -> Applied:
    """What would be done; nothing is."""
    steps = (StepResult(step=step, state="left" if isinstance(step.effect, Note) else "planned") for step in plan.steps)
    return Applied(plan=plan, steps=tuple(steps), dry_run=True)


def apply(plan: Plan, world: World, records: Records, say: Callable[[str], None]) -> Applied:
    """Do it; what fails is in the result, and holds back only what builds on it."""
    applier = _Applier(world=world, records=records, say=say)
    results = tuple(applier.results(plan))
    return Applied(plan=plan, steps=applier.settled(results), errors=tuple(applier.errors))


@dataclass(slots=True, kw_only=True)
class _Applier:
    """One run over a plan."""

    world: World
    records: Records
    say: Callable[[str], None]
    errors: list[PgwrapError] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    """Clusters and installations of which a step failed."""
    undo: list[tuple[Step, Callable[[], None]]] = field(default_factory=list)
    """How to take back the file steps since the last check that passed."""
    undone: set[int] = field(default_factory=set)
    """Steps that were taken back, by identity."""

    def results(self, plan: Plan) -> Iterator[StepResult]:
        """Each step's result, as it is done."""
        halted = False
        for step in plan.steps:
            if isinstance(step.effect, Note):
                yield StepResult(step=step, state="left", message=step.effect.message)
            elif halted or step.subject in self.stopped:
                yield StepResult(step=step, state="not-reached")
            else:
                result = self._result(step)
                halted = result.state == "failed" and isinstance(step.effect, WriteFile | Retire | Switch | Check)
                yield result

    def settled(self, results: tuple[StepResult, ...]) -> tuple[StepResult, ...]:
        """The results, with those marked that were taken back later."""
        return tuple(
            StepResult(step=one.step, state="undone") if id(one.step) in self.undone else one for one in results
        )

    def _result(self, step: Step) -> StepResult:
        try:
            message = self._do(step)
        except PgwrapError as error:
            error.cluster = error.cluster or step.subject
            if isinstance(step.effect, WriteFile | Retire | Switch):
                self._take_back()
            self.errors.append(error)
            self.stopped.add(step.subject)
            return StepResult(step=step, state="failed", message=error.message)
        return StepResult(step=step, state="left" if message else "done", message=message)

    def _do(self, step: Step) -> str:
        """Do one step; a sentence where it is left to the operator after all."""
        effect = step.effect
        match effect:
            case WriteFile():
                self._write(step, effect)
            case Retire():
                self._retire(step, effect)
            case Switch():
                self._switch(step, effect)
            case Check():
                self._check(effect)
            case Run():
                self.say(f"{step.subject}: {effect.command.quoted()}")
                effect.check(self.world.runner.run(effect.command))
            case AlterSystem():
                return self._alter(step, effect)
        return ""

    def _write(self, step: Step, file: WriteFile) -> None:
        files = self.world.files
        before = files.read_bytes(file.path, READ_LIMIT)
        self.records.intend(file)
        files.write(file)
        self.say(f"{step.subject}: wrote {file.path}")
        if before is None:
            self.undo.append((step, partial(files.withdraw, file.path)))
        elif before != file.text.encode():
            self.undo.append((step, partial(files.put_back, file.path)))

    def _retire(self, step: Step, retire: Retire) -> None:
        self.world.files.retire(retire.path)
        self.records.forget(retire.path)
        self.say(f"{step.subject}: {retire.path} is now {retire.path}.old")
        self.undo.append((step, partial(self.world.files.put_back, retire.path)))

    def _switch(self, step: Step, switch: Switch) -> None:
        files, file = self.world.files, switch.file
        before = files.read_bytes(file.path, READ_LIMIT)
        self.records.intend(file)
        files.switch(file, switch.retired)
        for path in switch.retired:
            self.records.forget(path)
            self.undo.append((step, partial(files.put_back, path)))
        self.undo.append((step, partial(files.withdraw if before is None else files.put_back, file.path)))
        self.say(f"{step.subject}: wrote {file.path}, and renamed {', '.join(switch.retired)} to NAME.old")

    def _check(self, check: Check) -> None:
        """The engine's judgement of what is in place; its refusal brings the old files back."""
        try:
            said = [text for user in check.users for text in self._judged(check, user)]
        except PgwrapError:
            self._take_back()
            raise
        if not said:
            self.undo.clear()
            return
        self._take_back()
        raise EngineFailed(
            f"{check.installation} refuses the configuration in place, so the old files are back: {'; '.join(said)}",
            hint="the engine's user must be able to read the files where they are",
        )

    def _judged(self, check: Check, user: str | None) -> tuple[str, ...]:
        with self.world.files.private_directory(user) as scratch:
            return run_trial(check.trial(user, scratch), user, self.world)

    def _take_back(self) -> None:
        for step, undo in reversed(self.undo):
            undo()
            self.undone.add(id(step))
        self.undo.clear()

    def _alter(self, step: Step, alter: AlterSystem) -> str:
        """A role that may not do it leaves it to the operator, with what to type."""
        self.say(f"{step.subject}: {alter.command.quoted()}")
        outcome = self.world.runner.run(alter.command)
        if outcome.succeeded:
            return ""
        said = outcome.message or next(
            (line for line in reversed(outcome.error_text().splitlines()) if line.strip()), "no reason given"
        )
        by_hand = f"as a superuser type: {alter.command.quoted()}"
        return f"PostgreSQL's settings could not be changed ({said.strip()}); {by_hand}"
