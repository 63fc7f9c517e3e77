"""Adopt native files: what each engine reads in them, a spec that says the same, and the proof that it does.

It reads files by the file door and writes none; the spec's text and its meaning come by the two functions of `Spec`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pgwrap.domain.adoption import Adoption, DraftedSpec
from pgwrap.domain.model import EngineInstance, EngineKind, Fleet, Secret
from pgwrap.domain.moved import moved
from pgwrap.domain.native import Difference, NativeFile, Reading, compare
from pgwrap.engines.port import Engine, EngineVersion, RenderRequest
from pgwrap.errors import Location, Problem, SpecError, UsageError
from pgwrap.ops.installed import configuration_names
from pgwrap.ops.world import World
from pgwrap.records import dataclass

LARGEST_FILE = 4 << 20
"""Bytes of one native file: far beyond any that a person keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """How adoptions become a text, and what a text means."""

    write: Callable[[Sequence[Adoption]], DraftedSpec]
    understand: Callable[[str], Fleet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The files of one installation."""

    kind: EngineKind
    files: tuple[NativeFile, ...]
    version: EngineVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A difference that changes nothing, and why."""

    difference: Difference
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one engine reads in its files, and in those that the spec renders."""

    source: Source
    options: int
    differences: tuple[Difference, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The spec, and how well it says what the files say."""

    spec: DraftedSpec
    fleet: Fleet
    proofs: tuple[Proof, ...]
    notices: tuple[Problem, ...]

    @property
    def equivalent(self) -> bool:
        """Whether no option of any engine differs."""
        return not any(proof.differences for proof in self.proofs)


def read_named(paths: Iterable[str], world: World) -> tuple[NativeFile, ...]:
    """The files that were named, in this order; UsageError for one that cannot be one."""
    found = []
    for path in dict.fromkeys(paths):
        if world.files.entries(path):
            raise UsageError(
                f"{path} is a directory", hint=f"name its files, such as {path}/*.conf, or say --from-host"
            )
        content = world.files.read_bytes(path, LARGEST_FILE)
        if content is None:
            raise UsageError(f"there is no file {path}", hint="name the engine's own files, or say --from-host")
        hidden = posixpath.basename(path).startswith(".")
        found.append(NativeFile(path=path, content=content, role="override" if hidden else "main"))
    return tuple(found)


def read_host(world: World) -> dict[EngineKind, tuple[NativeFile, ...]]:
    """The files in the engines' own places; an engine without a main file is left out."""
    found = {kind: read_installation(world.engines[kind](), world) for kind in EngineKind}
    return {kind: files for kind, files in found.items() if files}


def read_installation(engine: Engine, world: World, instance: EngineInstance | None = None) -> tuple[NativeFile, ...]:
    """The files of an installation (None: in the engine's default places), main file first."""
    places = engine.places((), instance)
    main = next((file for path in places.main if (file := _file(path, "main", world)) is not None), None)
    if main is None:
        return ()
    places = engine.places((main,), instance)
    included = tuple(_included(places.include, engine.kind, world))
    places = engine.places((main, *included), instance)
    overrides = (_file(path, "override", world) for path in places.overrides)
    return (main, *included, *(file for file in overrides if file is not None))


def _file(path: str, role: str, world: World) -> NativeFile | None:
    content = world.files.read_bytes(path, LARGEST_FILE)
    if content is None:
        return None
    return NativeFile(path=path, content=content, role="main" if role == "main" else "override")


def _included(directory: str | None, kind: EngineKind, world: World) -> Iterator[NativeFile]:
    for name in configuration_names(world.files.entries(directory), kind) if directory else ():
        path = posixpath.join(directory or "", name)
        content = world.files.read_bytes(path, LARGEST_FILE)
        if content is not None:
            yield NativeFile(path=path, content=content, role="include")


def by_engine(files: Iterable[NativeFile], world: World) -> dict[EngineKind, tuple[NativeFile, ...]]:
    """The files of each engine; SpecError with each file that is neither's."""
    found: dict[EngineKind, list[NativeFile]] = {}
    problems = []
    for file in files:
        kinds = [kind for kind in EngineKind if world.engines[kind]().recognises(file)]
        if not kinds:
            problems.append(_unknown(file))
        else:
            # pgBackRest's sections and dashes are nobody else's; an option of Barman's can stand in any ini file.
            found.setdefault(kinds[0], []).append(file)
    if problems:
        raise SpecError(tuple(problems))
    return {kind: tuple(items) for kind, items in found.items()}


def _unknown(file: NativeFile) -> Problem:
    if b"\0" in file.content:
        line = file.content[: file.content.index(b"\0")].count(b"\n") + 1
        message, place = "a NUL byte: this is no text file", Location(file.path, line, 1)
    elif not file.content.strip():
        message, place = "the file is empty", Location(file.path, 1, 1)
    else:
        message, place = "neither pgBackRest's nor Barman's: no section or option is known", Location(file.path, 1, 1)
    return Problem(
        message=message, location=place, hint="name pgbackrest.conf, barman.conf or a file beside one of them"
    )


def adopt(sources: tuple[Source, ...], spec: Spec, world: World) -> Imported:
    """The spec that says what the files say; SpecError with every reason where an engine would refuse its files."""
    readings = {source.kind: world.engines[source.kind]().read(source.files, source.version) for source in sources}
    refusals = tuple(problem for reading in readings.values() for problem in reading.refusals)
    if refusals:
        raise SpecError(refusals)
    native: dict[EngineKind, frozenset[str]] = {}
    for widen in (_differing, _differing, _family, _family, _everything):
        imported = _attempt(sources, readings, native, spec, world)
        if imported.equivalent:
            return imported
        native = {
            proof.source.kind: native.get(proof.source.kind, frozenset()) | widen(proof, readings[proof.source.kind])
            for proof in imported.proofs
        }
    last = _attempt(sources, readings, native, spec, world)
    return last if last.equivalent else imported


def _differing(proof: Proof, before: Reading) -> frozenset[str]:  # noqa: ARG001 - the least of the ways to widen
    return frozenset(difference.option for difference in proof.differences)


def _family(proof: Proof, before: Reading) -> frozenset[str]:
    """What differs with all that begins with the same word, such as every option of the repositories."""
    words = {_first_word(difference.option) for difference in proof.differences}
    return frozenset(name for name in _written(before) if _first_word(name) in words) | _differing(proof, before)


def _everything(proof: Proof, before: Reading) -> frozenset[str]:
    return _written(before) if proof.differences else frozenset()


def _first_word(option: str) -> str:
    return re.split("[^a-z]", option, maxsplit=1)[0]


def _written(reading: Reading) -> frozenset[str]:
    """Every option that the files give."""
    return frozenset(
        name for view in reading.views for name, option in view.options.items() if option.place is not None
    )


def _attempt(
    sources: tuple[Source, ...],
    readings: Mapping[EngineKind, Reading],
    native: Mapping[EngineKind, frozenset[str]],
    spec: Spec,
    world: World,
) -> Imported:
    adoptions = {
        source.kind: world.engines[source.kind]().adopt(
            source.files, source.version, source.kind.value, native.get(source.kind, frozenset())
        )
        for source in sources
    }
    drafted = spec.write(tuple(adoptions.values()))
    fleet = spec.understand(drafted.text)
    proofs = tuple(_prove(source, readings[source.kind], fleet, drafted, world) for source in sources)
    notices = (
        *(problem for reading in readings.values() for problem in reading.remarks),
        *(problem for adoption in adoptions.values() for problem in adoption.notices),
    )
    return Imported(spec=drafted, fleet=fleet, proofs=proofs, notices=tuple(dict.fromkeys(notices)))


def _prove(source: Source, before: Reading, fleet: Fleet, drafted: DraftedSpec, world: World) -> Proof:
    """Render the spec, read that as the engine would, and compare option by option."""
    engine = world.engines[source.kind]()
    instance = next(one for one in fleet.engines if one.name == source.kind.value)
    after = engine.read(
        rendered_files(engine, instance, fleet, source.version, _reader(drafted, world)), source.version
    )
    comparison = compare(before, after)
    moves, differences = [], []
    for difference in comparison.differences:
        reason = moved(difference, before)
        if reason is None:
            differences.append(difference)
        else:
            moves.append(Move(difference=difference, reason=reason))
    return Proof(source=source, options=comparison.options, differences=tuple(differences), moves=tuple(moves))


def rendered_files(
    engine: Engine,
    instance: EngineInstance,
    fleet: Fleet,
    version: EngineVersion,
    secret: Callable[[Secret], str],
) -> tuple[NativeFile, ...]:
    """What the spec renders for an installation, as the files that its engine would find there."""
    clusters = tuple(cluster for cluster in fleet.clusters if cluster.engine == instance)
    request = RenderRequest(
        instance=instance,
        clusters=clusters,
        version=version,
        secret=secret,
        spec_file=fleet.files[0] if fleet.files else "the spec",
    )
    found: list[NativeFile] = []
    for file in engine.render(request).files:
        content = file.write.text.encode()
        if file.write.path == instance.config:
            found.insert(0, NativeFile(path=file.write.path, content=content))
        elif instance.include is not None and posixpath.dirname(file.write.path) == instance.include.rstrip("/"):
            found.append(NativeFile(path=file.write.path, content=content, role="include"))
    return tuple(found)


def _reader(drafted: DraftedSpec, world: World) -> Callable[[Secret], str]:
    """Secrets as they will be read once their files are written."""

    def read(secret: Secret) -> str:
        if secret.kind == "file" and secret.value[0] in drafted.secrets:
            return drafted.secrets[secret.value[0]].removesuffix("\n")
        return world.secret(secret)

    return read


def as_notices(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """What the spec's own rules and the engines' limits say of the spec, none of it in the way of the import."""
    return tuple(replace(problem, severity="warning") for problem in problems)
