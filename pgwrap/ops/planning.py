"""What apply would do, as a plan: files, engine commands, PostgreSQL's settings. It writes scratch files alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

from pgwrap.domain.drift import FileDrift
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.native import NativeFile, View
from pgwrap.domain.plan import (
    Check,
    ClusterSettings,
    Note,
    Plan,
    Retire,
    Step,
    Switch,
    Trial,
    WriteFile,
)
from pgwrap.domain.settings import setting_states
from pgwrap.engines.port import Engine, PreparationRequest, TrialRequest
from pgwrap.errors import EngineFailed, UsageError
from pgwrap.ops.altering import setting_steps
from pgwrap.ops.asking import POSTGRES_DEADLINE, ask_postgres
from pgwrap.ops.drift import Found, Wanted, all_wanted, drift, engine_files, role_of
from pgwrap.ops.installed import READ_LIMIT
from pgwrap.ops.records import Records
from pgwrap.ops.render import render_installations
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Whether PostgreSQL is asked and changed, whether hand-made files may be replaced, seconds per command."""

    postgres: bool = True
    force: bool = False
    deadline: float = 30.0


def make_plan(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    world: World,
    records: Records,
    options: PlanOptions,
) -> Plan:
    """All that is to be done for `clusters`, in order; EngineFailed when an engine refuses what would be written."""
    rendered, warnings = render_installations(fleet, clusters, choices, world, secret=world.secret)
    servers = ask_postgres(clusters if options.postgres else (), world, POSTGRES_DEADLINE)
    parts = [
        _Planner(wanted=wanted, world=world, records=records, options=options, servers=servers).plan()
        for wanted in all_wanted(fleet, clusters, choices, rendered, world, brief=True)
    ]
    return Plan(
        steps=tuple(step for part in parts for step in part.steps),
        objections=tuple(text for part in parts for text in part.objections),
        notes=(*(str(warning) for warning in warnings), *(text for part in parts for text in part.notes)),
    )


@contextmanager
def foreseen(
    fleet: Fleet, cluster: Cluster, choices: Mapping[EngineInstance, VersionChoice], world: World, records: Records
) -> Iterator[EngineInstance]:
    """The cluster's installation as `make_plan` would have it: a copy to ask it by, gone afterwards."""
    rendered, _ = render_installations(fleet, (cluster,), choices, world, secret=world.secret)
    (wanted,) = all_wanted(fleet, (cluster,), choices, rendered, world, brief=True)
    options = PlanOptions(postgres=False, force=True)
    planner = _Planner(wanted=wanted, world=world, records=records, options=options, servers={})
    with planner.foreseen(world.user_for(cluster)) as instance:
        yield instance


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileSteps:
    """What becomes of files, and what is against it."""

    steps: tuple[Step, ...] = ()
    objections: tuple[str, ...] = ()
    after: tuple[NativeFile, ...] = ()
    """What the engine would then read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planner:
    """The plan for one installation."""

    wanted: Wanted
    world: World
    records: Records
    options: PlanOptions
    servers: Mapping[str, PostgresView]

    @property
    def engine(self) -> Engine:
        return self.world.engine(self.wanted.instance)

    def plan(self) -> Plan:
        """Files and their check, what the engine needs once, then PostgreSQL's settings."""
        instance = self.wanted.instance
        if instance.host is not None:
            return Plan(steps=(self._elsewhere(instance.host),))
        found = drift(self.wanted, self.world)
        if found.drift.unknown is not None:
            raise UsageError(found.drift.unknown, hint="run pgwrap as root, or as the engine's user")
        files = self._files(found)
        if files.objections and not self.options.force:
            return Plan(steps=files.steps, objections=files.objections)
        prepared = tuple(self._tried(files))
        check = (self._check(),) if files.steps else ()
        return Plan(
            steps=(*files.steps, *check, *prepared, *self._postgres()),
            notes=tuple(self._not_connected()),
        )

    def _elsewhere(self, host: str) -> Step:
        """Files of another host are not written from here."""
        names = " ".join(shlex.quote(cluster.name) for cluster in self.wanted.clusters)
        note = Note(
            message=f"its files are on {host}; run pgwrap there",
            by_hand=f"ssh {shlex.quote(host)} pgwrap apply {names}",
        )
        return Step(subject=self.wanted.instance.name, effect=note, reason="pgwrap writes files on its own host alone")

    # Files

    def _files(self, found: Found) -> _FileSteps:
        """Servers' files before the main one, retired ones last: at each moment every server is configured."""
        writes = {file.write.path: file.write for file in self.wanted.files()}
        changed = [one for one in found.drift.files if one.state in ("differs", "missing", "access")]
        changed.sort(key=lambda one: one.path == self.wanted.instance.config)
        besides = [one for one in found.drift.files if one.state in ("left-over", "besides")]
        retiring, kept_notes, against = self._retirements(besides, found)
        retired = {step.effect.path for step in retiring if isinstance(step.effect, Retire)}
        steps = (*(self._write(one, writes[one.path]) for one in changed), *retiring)
        return _FileSteps(
            steps=(*self._at_once(steps), *kept_notes),
            objections=(*self._objections(changed, found), *against),
            after=self._after(found, retired) if changed or retiring else (),
        )

    def _write(self, one: FileDrift, file: WriteFile) -> Step:
        reasons = {"missing": "it is not there", "access": one.detail, "differs": "it is not what the spec says"}
        return Step(
            subject=self.wanted.instance.name,
            effect=file,
            reason=reasons[one.state],
            done_when="`pgwrap diff` shows no difference in it",
        )

    def _at_once(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """The same steps, with the main file and those that it takes over changed at one moment."""
        retired = tuple(step.effect.path for step in steps if isinstance(step.effect, Retire))
        main = next((step for step in steps if _writes(step, self.wanted.instance.config)), None)
        if main is None or not retired or not isinstance(main.effect, WriteFile):
            return steps
        switch = replace(
            main,
            effect=Switch(file=main.effect, retired=retired),
            reason=f"{main.reason}; it then says all that the others say, and the engine takes no setting twice",
        )
        return (*(step for step in steps if step is not main and not isinstance(step.effect, Retire)), switch)

    def _objections(self, changed: Iterable[FileDrift], found: Found) -> Iterator[str]:
        for one in changed:
            content = self._present(one.path, found)
            if one.state != "differs" or content is None:
                continue
            match self.records.authorship(one.path, content):
                case "edited":
                    yield f"{one.path} was edited by hand since pgwrap wrote it"
                case "foreign":
                    yield f"{one.path} was not made by pgwrap"

    def _present(self, path: str, found: Found) -> bytes | None:
        known = found.installed.content(path)
        return known if known is not None else self.world.files.read_bytes(path, READ_LIMIT)

    def _retirements(
        self, besides: Iterable[FileDrift], found: Found
    ) -> tuple[tuple[Step, ...], tuple[Step, ...], tuple[str, ...]]:
        """Files to take out of the engine's sight, those that it goes on reading, and what would be lost."""
        retiring, notes, against = [], [], []
        for one in besides:
            file = next(file for file in found.installed.files if file.path == one.path)
            if one.state == "left-over":
                retiring.append(self._retire(one, one.detail))
                if self.records.authorship(file.path, file.content) == "edited":
                    against.append(f"{one.path} was edited by hand since pgwrap wrote it")
            elif file.role == "include" and not self._foreign(file):
                retiring.append(self._retire(one, "the rendered files say all that it says"))
                against += self._lost(file, found)
            else:
                note = Note(message=f"{one.path} {one.detail}, besides what the spec says: take that out of it")
                notes.append(Step(subject=self.wanted.instance.name, effect=note, reason="the engine reads it, too"))
        return tuple(retiring), tuple(notes), tuple(against)

    def _retire(self, one: FileDrift, reason: str) -> Step:
        return Step(
            subject=self.wanted.instance.name,
            effect=Retire(path=one.path),
            reason=reason,
            done_when=f"{one.path} is gone and {one.path}.old is there",
        )

    def _set_in(self, file: NativeFile) -> Iterator[tuple[View, str]]:
        """Each option that a file sets, read by itself."""
        for view in self.engine.read((file,), self.wanted.version).views:
            for name, option in view.options.items():
                if option.place is not None:
                    yield view, name

    def _foreign(self, file: NativeFile) -> bool:
        """Whether it holds a stanza or server that the spec does not have."""
        ours = {"", *(cluster.engine_name for cluster in self.wanted.members)}
        return any(view.subject not in ours for view, _ in self._set_in(file))

    def _lost(self, file: NativeFile, found: Found) -> Iterator[str]:
        """What a file says and the rendered ones would not: retiring it would lose that."""
        after = self.engine.read(engine_files(self.wanted, found.installed), self.wanted.version)
        said: set[str] = set()
        for view, name in self._set_in(file):
            option = view.options[name]
            successors = [one for one in after.views if view.subject in ("", one.subject) and name in one.options]
            successors = [one for one in successors if one.command == view.command] or successors
            known = [one.options[name] for one in successors]
            if known and all(one.place is not None or one.values == option.values for one in known):
                continue
            place = f"{file.path}:{option.place.line}" if option.place is not None else file.path
            text = f"{place} sets {name}, which the spec does not say"
            if text not in said:
                said.add(text)
                yield text

    def _after(self, found: Found, retired: set[str]) -> tuple[NativeFile, ...]:
        """All that the engine would read once the steps are done, main file first."""
        files = {file.path: file for file in found.installed.files if file.path not in retired}
        for file in self.wanted.files():
            role = role_of(file.write.path, self.wanted.instance, found.installed)
            if role is not None:
                content = file.write.text.encode()
                files[file.write.path] = NativeFile(path=file.write.path, content=content, role=role)
        order = ("main", "include", "override")
        return tuple(sorted(files.values(), key=lambda file: (order.index(file.role), file.path)))

    @contextmanager
    def foreseen(self, user: str | None) -> Iterator[EngineInstance]:
        """What would be read, as a copy where it differs from what is."""
        after = self._files(drift(self.wanted, self.world)).after
        if not after:
            yield self.wanted.instance
            return
        with self._scratch(user) as scratch:
            trial = self._trial(user, scratch, files=after)
            run_trial(trial, user, self.world)
            yield trial.installation

    # The engine's own judgement, and what it needs once

    def _users(self) -> tuple[str | None, ...]:
        return tuple(dict.fromkeys(cluster.run_as for cluster in self.wanted.clusters))

    def _clusters_of(self, user: str | None) -> tuple[Cluster, ...]:
        return tuple(cluster for cluster in self.wanted.clusters if cluster.run_as == user)

    def _scratch(self, user: str | None) -> AbstractContextManager[str]:
        return self.world.files.private_directory(user)

    def _tried(self, files: _FileSteps) -> Iterator[Step]:
        """Have the engine judge a copy of what it would read, and ask it, by that copy, what else is missing."""
        for user in self._users():
            clusters = self._clusters_of(user)
            if not files.after:
                yield from self._preparations(clusters, self.wanted.instance)
                continue
            with self._scratch(user) as scratch:
                trial = self._trial(user, scratch, files=files.after)
                said = run_trial(trial, user, self.world)
                if said:
                    raise EngineFailed(
                        f"{self.wanted.instance.name} refuses the new configuration, and nothing was changed: "
                        f"{'; '.join(said)}",
                        hint="correct the spec; `pgwrap diff` shows what would change",
                    )
                yield from self._preparations(clusters, trial.installation)

    def _trial(self, user: str | None, scratch: str, files: tuple[NativeFile, ...] | None = None) -> Trial:
        return self.engine.trial(
            TrialRequest(
                instance=self.wanted.instance,
                clusters=self._clusters_of(user),
                version=self.wanted.version,
                scratch=scratch,
                files=files,
                deadline=self.options.deadline,
            )
        )

    def _check(self) -> Step:
        return Step(
            subject=self.wanted.instance.name,
            effect=Check(installation=self.wanted.instance.name, users=self._users(), trial=partial(_in_place, self)),
            reason="the engine itself must accept the files in place, or the old ones come back",
        )

    def _preparations(self, clusters: tuple[Cluster, ...], config: EngineInstance) -> Iterator[Step]:
        for cluster in clusters:
            if not cluster.active:
                continue
            request = PreparationRequest(
                cluster=cluster,
                server=self.servers.get(cluster.name),
                config=config,
                deadline=self.options.deadline,
            )
            yield from self.world.converse(self.engine.preparations(request))

    # PostgreSQL

    def _postgres(self) -> Iterator[Step]:
        for cluster in self.wanted.clusters:
            server = self.servers.get(cluster.name)
            if server is None:
                continue
            needed = self.engine.settings(cluster, self.wanted.version)
            if not server.reachable:
                yield _unreachable(cluster, needed, server)
                continue
            yield from setting_steps(cluster, setting_states(needed.settings, server), self.world)

    def _not_connected(self) -> Iterator[str]:
        for cluster in self.wanted.clusters if self.options.postgres else ():
            if cluster.name not in self.servers:
                yield f"{cluster.name}: PostgreSQL was not looked at, for the spec does not say how to connect"


def _writes(step: Step, path: str) -> bool:
    return isinstance(step.effect, WriteFile) and step.effect.path == path


def _in_place(planner: _Planner, user: str | None, scratch: str) -> Trial:
    return planner._trial(user, scratch)  # noqa: SLF001 - its own, bound so that the plan stays data


def run_trial(trial: Trial, user: str | None, world: World) -> tuple[str, ...]:
    """What the engine has against a configuration; nothing when it accepts it."""
    for file in trial.files:
        world.files.write(replace(file, owner=user))
    return trial.complaints(world.runner.run_all(trial.commands))


def _unreachable(cluster: Cluster, needed: ClusterSettings, server: PostgresView) -> Step:
    names = ", ".join(setting.name for setting in needed.settings)
    note = Note(
        message=f"PostgreSQL could not be asked ({server.error}), so {names} were not looked at",
        by_hand=f"pgwrap apply {shlex.quote(cluster.name)}",
    )
    return Step(subject=cluster.name, effect=note, reason="what is not known is not taken for right")
