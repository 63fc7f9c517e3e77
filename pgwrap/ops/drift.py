"""What an installation runs with against what the spec says: file by file, and option by option. It changes nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pgwrap.domain.drift import FileDrift, FileState, InstallationDrift, masked, option_drifts, unified
from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.domain.native import Comparison, NativeFile, Reading, Role, compare
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.port import Engine, EngineVersion, Rendered, RenderedFile
from pgwrap.errors import PgwrapError
from pgwrap.ops.installed import Installed, content, installed
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, by_instance, owned
from pgwrap.records import dataclass

HEADER = "# Made by pgwrap from "
"""How every file that pgwrap renders begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the spec says of one installation, for the clusters that were asked about."""

    fleet: Fleet
    instance: EngineInstance
    clusters: tuple[Cluster, ...]
    """Those asked about."""
    members: tuple[Cluster, ...]
    """All of the installation."""
    rendered: Rendered
    version: EngineVersion
    user: str | None
    """Who may read the files."""
    with_secrets: bool = True
    """Whether the rendered text holds its secrets; without them only the rest is compared."""
    brief: bool = False
    """Whether files that are the same to the letter need not be read option by option."""

    def files(self) -> tuple[RenderedFile, ...]:
        """The files that hold one of the clusters."""
        names = {cluster.name for cluster in self.clusters}
        return tuple(file for file in self.rendered.files if names & {*file.clusters})


def all_wanted(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    rendered: Mapping[EngineInstance, Rendered],
    world: World,
    *,
    brief: bool = False,
) -> tuple[Wanted, ...]:
    """What the spec says of each rendered installation, in the order of the spec, for those of `clusters` in it."""
    return tuple(
        Wanted(
            fleet=fleet,
            instance=instance,
            clusters=owned(tuple(cluster for cluster in clusters if cluster.engine == instance), world),
            members=owned(members, world),
            rendered=rendered[instance],
            version=choices[instance].version,
            user=world.user_for(members[0]),
            brief=brief,
        )
        for instance, members in by_instance(fleet.clusters).items()
        if instance in rendered
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, beside what was judged of it."""

    drift: InstallationDrift
    installed: Installed
    before: Reading


def drift(wanted: Wanted, world: World) -> Found:
    """Compare one installation; what cannot be looked at is said, never taken for equal."""
    there = installed(wanted.instance, world, wanted.user)
    judged = InstallationDrift(
        name=wanted.instance.name,
        engine=wanted.instance.kind.value,
        host=wanted.instance.host,
        clusters=tuple(cluster.name for cluster in wanted.clusters),
    )
    if there.problem is not None:
        return Found(drift=replace(judged, unknown=there.problem), installed=there, before=Reading(views=()))
    engine = world.engine(wanted.instance)
    nothing = Reading(views=())
    same = _Comparing(wanted=wanted, there=there, before=nothing, engine=engine, world=world).identical()
    if wanted.brief and same:
        return Found(drift=replace(judged, files=same), installed=there, before=nothing)
    before = engine.read(there.files, wanted.version)
    comparing = _Comparing(wanted=wanted, there=there, before=before, engine=engine, world=world)
    comparison = comparing.meaning()
    judged = replace(
        judged,
        files=tuple(comparing.files()),
        options_compared=comparison.options if there.files else None,
        options=tuple(option_drifts(comparison, comparing.subjects())) if there.files else (),
        refusals=tuple(str(problem) for problem in before.refusals) if there.files else (),
    )
    return Found(drift=judged, installed=there, before=before)


def engine_files(wanted: Wanted, there: Installed) -> tuple[NativeFile, ...]:
    """The rendered files that the engine reads on this host, as it would find them."""
    found = []
    for file in wanted.rendered.files:
        role = role_of(file.write.path, wanted.instance, there)
        if role is not None:
            found.append(NativeFile(path=file.write.path, content=file.write.text.encode(), role=role))
    return tuple(sorted(found, key=lambda file: (file.role != "main", file.path)))


def role_of(path: str, instance: EngineInstance, there: Installed) -> Role | None:
    """What the engine takes a file for; None when it does not read it, such as one for another host."""
    if path == instance.config:
        return "main"
    include = instance.include or there.places.include
    return "include" if include is not None and posixpath.dirname(path) == include.rstrip("/") else None


def is_ours(text: str) -> bool:
    """Whether pgwrap's header stands in a file."""
    return text.startswith(HEADER)


def made_from(text: str, spec: str) -> bool:
    """Whether pgwrap made a file from this very spec."""
    rest = text.removeprefix(HEADER)
    return is_ours(text) and rest.startswith((f"{spec},", f"{spec}."))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparing:
    """One comparison, with all that it needs."""

    wanted: Wanted
    there: Installed
    before: Reading
    engine: Engine
    world: World

    def subjects(self) -> dict[str, str | None]:
        """The engine's names of what is asked about, with the spec's; "" is the installation."""
        return {"": None} | {cluster.engine_name: cluster.name for cluster in self.wanted.clusters}

    def meaning(self) -> Comparison:
        """Option by option; one of the installation counts only where no cluster has it."""
        after = self.engine.read(engine_files(self.wanted, self.there), self.wanted.version)
        whole = compare(self.before, after)
        of_clusters = {
            name for reading in (self.before, after) for view in reading.views if view.subject for name in view.options
        }
        kept = (one for one in whole.differences if one.subject or one.option not in of_clusters)
        return replace(whole, differences=tuple(one for one in kept if self._differs_visibly(one.before, one.after)))

    def _differs_visibly(self, before: object, after: object) -> bool:
        """Without secrets at hand, two that are secret cannot be told apart."""
        return self.wanted.with_secrets or not all(getattr(one, "secret", False) for one in (before, after))

    def identical(self) -> tuple[FileDrift, ...]:
        """The files, when all of them are the same to the letter and the engine reads no other; else none."""
        rendered = {file.write.path for file in self.wanted.rendered.files}
        if any(file.path not in rendered for file in self.there.files):
            return ()
        files = tuple(self._file(file) for file in self.wanted.files())
        return files if all(file.state == "same" for file in files) else ()

    def files(self) -> Iterator[FileDrift]:
        """Every file that the spec wants, then what the engine reads besides."""
        for file in self.wanted.files():
            yield self._file(file)
        yield from self._besides()

    def _file(self, file: RenderedFile) -> FileDrift:
        path = file.write.path
        try:
            found = self._content(path)
        except PgwrapError as error:
            return FileDrift(path=path, state="unread", clusters=file.clusters, detail=error.message)
        if found is None:
            return FileDrift(path=path, state="missing", clusters=file.clusters, detail="it is not there")
        text = found.decode(errors="replace")
        if not self._same(text, file.write):
            lines = unified(text, file.write, self._secrets(text, file.write))
            detail = "" if is_ours(text) else "pgwrap did not make it"
            return FileDrift(path=path, state="differs", clusters=file.clusters, detail=detail, lines=lines)
        access = self._access(file.write)
        return FileDrift(path=path, state="access" if access else "same", clusters=file.clusters, detail=access)

    def _content(self, path: str) -> bytes | None:
        if role_of(path, self.wanted.instance, self.there) is not None:
            return self.there.content(path)
        return content(path, self.wanted.instance, self.world, self.wanted.user)

    def _same(self, text: str, file: WriteFile) -> bool:
        if self.wanted.with_secrets:
            return text == file.text
        return masked(text, self.engine.secrets(text)) == masked(file.text, self.engine.secrets(file.text))

    def _secrets(self, text: str, file: WriteFile) -> tuple[str, ...]:
        return (*self.engine.secrets(text), *self.engine.secrets(file.text))

    def _access(self, file: WriteFile) -> str:
        """How mode and owner differ, for a file of this host."""
        found = self.world.files.access(file.path) if self.wanted.instance.host is None else None
        if found is None:
            return ""
        said = []
        if found.mode != file.mode:
            said.append(f"mode is {found.mode:04o}, not {file.mode:04o}")
        for word, actual, right in (("owner", found.owner, file.owner), ("group", found.group, file.group)):
            if right is not None and actual != right:
                said.append(f"{word} is {actual or 'unknown'}, not {right}")
        return "; ".join(said)

    def _besides(self) -> Iterator[FileDrift]:
        rendered = {file.write.path for file in self.wanted.rendered.files}
        for file in self.there.files:
            if file.path in rendered or file.role == "main":
                continue
            state, detail = self._standing(file)
            if state != "same":
                yield FileDrift(path=file.path, state=state, detail=detail)

    def _standing(self, file: NativeFile) -> tuple[FileState, str]:
        spec = self.wanted.fleet.files[0] if self.wanted.fleet.files else "the spec"
        if made_from(file.content.decode(errors="replace"), spec):
            return "left-over", "pgwrap made it for what the spec no longer has"
        said = tuple(self._said_by(file))
        return ("besides", f"sets {', '.join(said)}") if said else ("same", "")

    def _said_by(self, file: NativeFile) -> Iterable[str]:
        """What in a file counts for what is asked about: `orders: process-max (line 3)`."""
        subjects = self.subjects()
        found = {
            (view.subject, name, option.place.line)
            for view in self.before.views
            if view.subject in subjects
            for name, option in view.options.items()
            if option.place is not None and option.place.file == file.path
        }
        for subject, name, line in sorted(found, key=lambda one: (one[2], one[1], one[0])):
            if subject or not any(other[1:] == (name, line) and other[0] for other in found):
                yield f"{f'{subject}: ' if subject else ''}{name} (line {line})"
