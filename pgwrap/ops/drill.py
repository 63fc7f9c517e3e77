"""A restore drill: restore a backup into a private place, start it, look at it, remove it, and keep the evidence.

It never touches the original, its repository or its archive, and leaves nothing behind that it cannot name.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from time import monotonic

from pgwrap.domain.amounts import duration
from pgwrap.domain.control_file import ControlFile
from pgwrap.domain.drill import (
    Aim,
    Drill,
    Phase,
    Probe,
    ProbeName,
    ProbeVerdict,
    control_message,
    control_severity,
    severity_of,
    summary,
)
from pgwrap.domain.drill_choice import Choice, Nothing, Tried, Wish, candidates, choose, least_tested
from pgwrap.domain.drill_verdicts import (
    FULL,
    CanaryMark,
    CanaryRow,
    LossGrounds,
    blames_backup,
    judge_canary,
    judge_cleanup,
    judge_restore,
    judge_rpo,
    judge_rto,
    judge_start,
    without_room,
)
from pgwrap.domain.facts import Observation, Severity
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.recovery_log import read_recovery
from pgwrap.domain.restoring import RecoveryTarget
from pgwrap.engines.port import CopyJob, EngineVersion
from pgwrap.errors import PgwrapError, UsageError
from pgwrap.ops.drill_memory import keep_drill
from pgwrap.ops.drill_probes import Login, Looker, checksums, not_reached
from pgwrap.ops.foretelling import told_version
from pgwrap.ops.observing import observed
from pgwrap.ops.proofs import CommitCache, ProofReader
from pgwrap.ops.scratch_copy import ScratchCopy, Tools, major_of, sweep, user_for_copies
from pgwrap.ops.scratch_server import ScratchServer
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import Journal, ScratchClaim, ScratchPlace

MARGIN = 256 << 20
"""Bytes that a started copy needs beside its data: WAL segments of its own, temporary files."""
_LOOKS = (
    ProbeName.AMCHECK,
    ProbeName.DUMP,
    ProbeName.ASSERTION,
    ProbeName.CANARY,
    ProbeName.CHECKSUMS,
)
NOTES = (
    "the copy ran with a configuration of its own: no TCP, no archiving, no subscriptions, no preloaded libraries",
)
_LOG = logging.getLogger("pgwrap.drill")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOptions:
    """What to drill, where, and for how long at most (seconds for each step)."""

    wish: Wish = field(default_factory=Wish)
    coverage: bool = False
    directory: str | None = None
    keep: bool = False
    control: bool = False
    deadline: float = 86400.0
    look_deadline: float = 60.0


def drill(fleet: Fleet, cluster: Cluster, world: World, tools: Tools, options: DrillOptions) -> Drill:
    """Drill one cluster and keep the result; raises UsageError, Refused, EngineMissing or EngineUnsupported where a
    drill cannot begin. What goes wrong after that is in the result."""
    user = user_for_copies(cluster, world, tools.user)
    tools.journal.prepare()
    sweep(tools)
    began = tools.clock()
    observation = observed(fleet, (cluster,), world, options.look_deadline)[cluster.name]
    chosen = _choose(fleet, cluster, observation, world, tools, options)
    begun = Drill(
        id=f"{began:%Y%m%dT%H%M%S}-{tools.token}",
        cluster=cluster.name,
        engine=observation.engine,
        engine_name=observation.engine_name,
        engine_version=observation.engine_version,
        severity=Severity.UNKNOWN,
        message="it began, and its end was never recorded",
        control=options.control,
        started_at=began,
        aim=chosen.aim if isinstance(chosen, Choice) else options.wish.aim,
        target=chosen.target if isinstance(chosen, Choice) else options.wish.moment,
        repository=options.wish.repository,
        backup=options.wish.backup,
        reason=chosen.reason if isinstance(chosen, Choice) else "",
    )
    if isinstance(chosen, Nothing):
        return _nothing(begun, chosen, observation, tools)
    version = told_version(observation)
    run = _Run(cluster=cluster, world=world, tools=tools, options=options, choice=chosen, user=user, version=version)
    return run.run(begun)


def _choose(
    fleet: Fleet, cluster: Cluster, observation: Observation, world: World, tools: Tools, options: DrillOptions
) -> Choice | Nothing:
    reader = ProofReader(
        world=world,
        cluster=cluster,
        cache=CommitCache(files=world.files, state=fleet.state),
        deadline=options.look_deadline,
    )
    wish = options.wish
    _check_repository(cluster, wish.repository)
    known = reader.prove(observation) if options.coverage or wish.is_a_moment else {}
    found = candidates(observation, known)
    if not options.coverage:
        return choose(found, observation, wish, tools.chance)
    fitting = tuple(one for one in found if wish.repository in (None, one.backup.repository))
    chosen = least_tested(fitting, _history(cluster, tools.journal), tools.chance)
    return choose(found, observation, wish, tools.chance) if isinstance(chosen, Nothing) else chosen


def _check_repository(cluster: Cluster, name: str | None) -> None:
    known = tuple(repository.name for repository in cluster.repositories)
    if name is not None and known and name not in known:
        message = f"cluster {cluster.name!r} has no repository called {name!r}"
        raise UsageError(message, hint=f"its repositories: {', '.join(known)}")


def _history(cluster: Cluster, journal: Journal) -> tuple[Tried, ...]:
    """Every drill that got as far as restoring; one that found a backup broken has tried it as well."""
    return tuple(
        Tried(backup=entry.backup, repository=entry.repository, aim=Aim(entry.aim), at=entry.started_at)
        for entry in journal.drills(cluster.name)
        if not entry.control and entry.ended_at is not None
    )


def _nothing(begun: Drill, nothing: Nothing, observation: Observation, tools: Tools) -> Drill:
    """Nothing to restore is the answer no, where the backups are known; else nobody knows."""
    probe = judge_restore(nothing.reason, measured=observation.read)
    ended = replace(
        begun,
        severity=severity_of((probe,)),
        message=summary((probe,)),
        ended_at=tools.clock(),
        probes=(probe,),
    )
    keep_drill(ended, tools.journal)
    return ended


@dataclass(slots=True, kw_only=True)
class _Evidence:
    """What has been measured so far."""

    phases: list[Phase] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    rows: tuple[CanaryRow, ...] | None = None
    drill: Drill


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One drill, from its choice to its end."""

    cluster: Cluster
    world: World
    tools: Tools
    options: DrillOptions
    choice: Choice
    user: str
    version: EngineVersion | None
    """The engine's, where it told it."""

    def run(self, begun: Drill) -> Drill:
        """Restore, start, look, stop, remove; the journal has it whatever happens."""
        copy = self._copy()
        parent = self.options.directory or self.cluster.drill.directory or self.tools.scratch.default_parent()
        copy.require_room(parent)
        claim = copy.claim(parent, "drill", begun.id)
        backup = copy.backup
        found = _Evidence(
            drill=replace(
                begun,
                backup=backup.id,
                backup_type=backup.type,
                repository=backup.repository,
                timeline=self.choice.candidate.timeline,
                postgres_version=copy.major,
                cluster_bytes=backup.cluster_bytes,
                notes=NOTES,
            )
        )
        keep_drill(found.drill, self.tools.journal)
        try:
            with self._place(claim, found) as place:
                self._drill(copy, place, found)
                if self.tools.scratch.free_bytes(place.path) < FULL:
                    found.probes = list(without_room(found.probes))
        except BaseException as error:
            found.probes.append(self._broken_off(error))
            raise
        finally:
            found.drill = self._judged(found)
            keep_drill(found.drill, self.tools.journal)
        return found.drill

    @contextmanager
    def _place(self, claim: ScratchClaim, found: _Evidence) -> Iterator[ScratchPlace]:
        """A private place, and the proof that nothing of it is left afterwards."""
        self.tools.journal.claim(claim)
        try:
            yield self.tools.scratch.make(claim, self.user)
        finally:
            if self.options.keep:
                found.drill = replace(found.drill, kept=claim.path)
                self.tools.journal.release(claim)
            else:
                left = self.tools.scratch.remove(claim)
                found.probes.append(judge_cleanup(left))
                if not left:
                    self.tools.journal.release(claim)

    def _copy(self) -> ScratchCopy:
        """The copy to be made; raises where there can be none here."""
        candidate = self.choice.candidate
        return ScratchCopy(
            cluster=self.cluster,
            world=self.world,
            tools=self.tools,
            backup=candidate.backup,
            timeline=candidate.timeline,
            user=self.user,
            major=major_of(candidate.backup, self.world, self.cluster.name),
            deadline=self.options.deadline,
            version=self.version,
        )

    def _drill(self, copy: ScratchCopy, place: ScratchPlace, found: _Evidence) -> None:
        job = self._restore(copy, place, found)
        server = copy.server(place)
        control = self._control(server, found) if job is not None else None
        if job is None or control is None:
            found.probes += not_reached(self.cluster, (ProbeName.START, *_LOOKS))
            return
        self._start(copy, server, control, job, found)

    def _restore(self, copy: ScratchCopy, place: ScratchPlace, found: _Evidence) -> CopyJob | None:
        """Have the engine restore; None when it did not, and why is then a probe."""
        self.tools.say(f"restoring {copy.backup.id} into {place.path} ({self.choice.reason})")
        try:
            job = copy.job(place)
        except PgwrapError as error:
            found.probes.append(judge_restore(error.message, measured=False))
            return None
        outcome = self.world.runner.run(job.command)
        try:
            job.check(outcome)
        except PgwrapError as error:
            found.probes.append(judge_restore(error.message, measured=blames_backup(outcome), seconds=outcome.seconds))
            return None
        found.phases.append(Phase(name="restore", seconds=outcome.seconds))
        found.probes.append(judge_restore(None, measured=True, seconds=outcome.seconds))
        return job

    def _control(self, server: ScratchServer, found: _Evidence) -> ControlFile | None:
        try:
            return server.control_file()
        except PgwrapError as error:
            found.probes.append(judge_restore(error.message, measured=True))
            return None

    def _start(
        self, copy: ScratchCopy, server: ScratchServer, control: ControlFile, job: CopyJob, found: _Evidence
    ) -> None:
        """Recover and start the copy; look at it if it answers."""
        self.tools.say("replaying WAL and starting PostgreSQL")
        started = copy.start(server, control, job, _target(self.choice))
        log = read_recovery(self.tools.scratch.tail(server.place.log))
        verdict = judge_start(log, self.choice, ready=started.ready)
        found.probes.append(verdict)
        if not started.ready:
            _LOG.info("the copy's log:\n%s", self.tools.scratch.tail(server.place.log))
            found.probes += not_reached(self.cluster, _LOOKS)
            return
        replay = min(started.seconds, verdict.seconds or 0.0)
        found.phases += (Phase(name="replay", seconds=replay), Phase(name="start", seconds=started.seconds - replay))
        found.drill = replace(found.drill, reached=log.reached)
        if self.options.control and not self._damaged(server, control, found):
            found.probes += not_reached(self.cluster, _LOOKS)
            return
        self._look(server, control, found)

    def _damaged(self, server: ScratchServer, control: ControlFile, found: _Evidence) -> bool:
        """Spoil a page of the copy, between two runs of it; False when it does not come up again, or it could not."""
        looker = self._looker(server)
        login = looker.login()
        victim = looker.victim(login) if not login.error else None
        if victim is None or not server.stop().succeeded:
            self.tools.say("the copy could not be damaged: the control shows nothing")
            return False
        self.tools.scratch.damage(posixpath.join(server.place.data, victim))
        self.tools.say(f"damaged {victim} of the copy on purpose")
        again = server.start(control, None)
        if not again.ready:
            message = "PostgreSQL does not start on the damaged copy"
            found.probes.append(Probe(name=ProbeName.START, verdict=ProbeVerdict.FAILED, message=message))
        return again.ready

    def _looker(self, server: ScratchServer) -> Looker:
        return Looker(cluster=self.cluster, server=server, sql=self.tools.sql, deadline=self.options.look_deadline)

    def _look(self, server: ScratchServer, control: ControlFile, found: _Evidence) -> None:
        """Every probe, the last one on the stopped copy."""
        self.tools.say("looking at the copy")
        began = monotonic()
        looker = self._looker(server)
        login = looker.login()
        if login.error:
            failed = Probe(name=ProbeName.AMCHECK, verdict=ProbeVerdict.UNKNOWN, message=login.error)
            found.probes += (failed, *not_reached(self.cluster, _LOOKS[1:-1]))
        else:
            self._questions(looker, login, found)
        stopped = server.stop()
        if stopped.succeeded:
            found.probes.append(checksums(server, control))
        else:
            found.probes += not_reached(self.cluster, (ProbeName.CHECKSUMS,))
        found.phases.append(Phase(name="probes", seconds=monotonic() - began))

    def _questions(self, looker: Looker, login: Login, found: _Evidence) -> None:
        found.probes.append(looker.amcheck(login))
        found.probes.append(looker.dump(login))
        found.probes += looker.assertions(login, self._reference(found))
        log = read_recovery(self.tools.scratch.tail(looker.server.place.log))
        try:
            found.rows = looker.canary_rows(login)
        except ValueError as error:
            message = f"pgwrap.canary cannot be read: {error}"
            found.probes.append(Probe(name=ProbeName.CANARY, verdict=ProbeVerdict.UNKNOWN, message=message))
            return
        found.probes.append(judge_canary(found.rows, self._marks(), self.choice, log))

    def _reference(self, found: _Evidence) -> datetime:
        """The moment that ages count back from: the target, the backup's end, or now."""
        if self.choice.target is not None:
            return self.choice.target
        return self.choice.candidate.stop if self.choice.aim is Aim.OLDEST else found.drill.started_at

    def _marks(self) -> tuple[CanaryMark, ...]:
        return tuple(
            CanaryMark(id=one.id, written_at=one.written_at, confirmed_at=one.confirmed_at)
            for one in self.tools.journal.canaries(self.cluster.name)
        )

    def _broken_off(self, error: BaseException) -> Probe:
        """What is kept of a drill that did not come to its end."""
        words = error.message if isinstance(error, PgwrapError) else f"it was broken off ({type(error).__name__})"
        return judge_restore(words, measured=False)

    def _judged(self, found: _Evidence) -> Drill:
        """Everything that was measured against what was promised."""
        objectives = self.cluster.objectives
        total, rto = judge_rto(tuple(found.phases), objectives.rto)
        loss, rpo = judge_rpo(
            LossGrounds(
                aim=self.choice.aim,
                rows=found.rows,
                marks=self._marks(),
                began_at=found.drill.started_at,
                limit=objectives.rpo,
            )
        )
        promised = () if self.options.control else tuple(probe for probe in (rto, rpo) if probe is not None)
        probes = (*found.probes, *promised)
        control = self.options.control
        judged = replace(
            found.drill,
            severity=control_severity(probes) if control else severity_of(probes),
            message=control_message(probes) if control else summary(probes),
            ended_at=self.tools.clock(),
            phases=tuple(found.phases),
            probes=probes,
            rto_seconds=total,
            rpo_seconds=loss,
        )
        self.tools.say(f"{judged.severity.value}: {judged.message} ({_took(judged)})")
        return judged


def _target(choice: Choice) -> RecoveryTarget:
    """How far the copy recovers."""
    if choice.target is not None:
        return RecoveryTarget(kind="time", time=choice.target)
    return RecoveryTarget(kind="immediate" if choice.aim is Aim.OLDEST else "latest")


def _took(drill: Drill) -> str:
    ended = drill.ended_at or drill.started_at
    return duration((ended - drill.started_at).total_seconds())
