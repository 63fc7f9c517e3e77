"""Native files from the spec: gathers what each engine renders for the named clusters. It writes nothing by itself."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace

from pgwrap.domain.model import Cluster, EngineInstance, Fleet, Secret
from pgwrap.domain.plan import ClusterSettings, PostgresSetting, WriteFile
from pgwrap.engines.port import Rendered, RenderRequest
from pgwrap.errors import Problem, SpecError
from pgwrap.ops.validate import in_file_order, located, require_sound, validate
from pgwrap.ops.versions import VersionChoice, alone
from pgwrap.ops.world import World, by_instance, owned
from pgwrap.records import dataclass
from pgwrap.system.port import SecretReader

DEFAULT_SENDERS = 10
"""PostgreSQL's default of max_wal_senders and max_replication_slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderResult:
    """Files at their native paths, what PostgreSQL needs, and warnings."""

    files: tuple[WriteFile, ...]
    settings: tuple[ClusterSettings, ...]
    warnings: tuple[Problem, ...]


def render(
    fleet: Fleet,
    named: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    world: World,
    *,
    secret: SecretReader,
) -> RenderResult:
    """Every file that holds one of the named clusters, whole; SpecError when a word of the spec cannot be rendered."""
    rendered, warnings = render_installations(fleet, named, choices, world, secret=secret)
    wanted = {cluster.name for cluster in named}
    settings = tuple(item for result in rendered.values() for item in result.settings if item.cluster in wanted)
    files = [
        file.write
        for instance, result in rendered.items()
        for file in result.files
        if wanted & {*file.clusters} or instance in alone(fleet)
    ]
    return RenderResult(
        files=(*files, *(settings_file(fleet, item) for item in settings)), settings=settings, warnings=warnings
    )


def render_installations(
    fleet: Fleet,
    named: tuple[Cluster, ...],
    choices: Mapping[EngineInstance, VersionChoice],
    world: World,
    *,
    secret: SecretReader,
) -> tuple[dict[EngineInstance, Rendered], tuple[Problem, ...]]:
    """All that is rendered for each installation of the named clusters, and warnings; SpecError as `render`."""
    warnings = require_sound(validate(fleet, choices, world))
    wanted = {cluster.name for cluster in named}
    rendered = {
        instance: render_installation(fleet, instance, clusters, choices[instance], world, secret=secret)
        for instance, clusters in by_instance(fleet.clusters).items()
        if any(cluster.name in wanted for cluster in clusters)
    }
    if wanted >= {cluster.name for cluster in fleet.clusters}:
        rendered |= {
            instance: render_installation(fleet, instance, (), choices[instance], world, secret=secret)
            for instance in alone(fleet)
            if instance in choices
        }
    remarks = [remark for result in rendered.values() for remark in result.remarks]
    extra = require_sound(in_file_order(located(fleet, remarks)))
    return rendered, tuple(dict.fromkeys((*warnings, *extra)))


def _placed(fleet: Fleet, reader: SecretReader) -> SecretReader:
    """The same reader, whose refusals name the place of the reference in the spec."""

    def read(secret: Secret) -> str:
        try:
            return reader(secret)
        except SpecError as error:
            path = fleet.path_of(secret) or ()
            place = fleet.locate(path)
            placed = (replace(problem, location=place, path=".".join(path)) for problem in error.problems)
            raise SpecError(tuple(placed)) from error

    return read


def render_installation(
    fleet: Fleet,
    instance: EngineInstance,
    clusters: tuple[Cluster, ...],
    choice: VersionChoice,
    world: World,
    *,
    secret: SecretReader,
) -> Rendered:
    """What the engine renders for one installation, unchecked."""
    request = RenderRequest(
        instance=instance,
        clusters=owned(clusters, world),
        version=choice.version,
        secret=_placed(fleet, secret),
        spec_file=fleet.files[0] if fleet.files else "the spec",
    )
    return world.engine(instance).render(request)


def settings_file(fleet: Fleet, item: ClusterSettings) -> WriteFile:
    """The PostgreSQL settings of a cluster as a file that postgresql.conf can include."""
    lines = [f"# Made by pgwrap from {fleet.files[0] if fleet.files else 'the spec'} for the cluster {item.cluster}."]
    lines.append("# Append this to postgresql.conf, or set the same with ALTER SYSTEM.")
    for setting in item.settings:
        lines += ["", *_setting(setting)]
    for slot in item.slots:
        lines += ["", f"# physical replication slot {slot.name}: created by {slot.created_by}"]
    path = posixpath.join(fleet.state, "postgresql", f"{item.cluster}.conf")
    return WriteFile(path=path, text="\n".join(lines) + "\n", mode=0o644)


def _setting(setting: PostgresSetting) -> tuple[str, str]:
    """A setting and its reason. A lower bound that the default meets stays a comment: it must lower nothing."""
    restart = "needs a restart" if setting.restart else "a reload is enough"
    assignment = f"{setting.name} = {_quoted(setting.value)}"
    if setting.minimum and not (setting.value.isdecimal() and int(setting.value) > DEFAULT_SENDERS):
        return f"# {setting.reason}: at least this, which PostgreSQL's default is ({restart})", f"#{assignment}"
    return f"# {setting.reason} ({restart})", assignment


def _quoted(value: str) -> str:
    """A value as postgresql.conf takes it: numbers bare, text in single quotes with quotes and backslashes doubled."""
    if value.isdecimal():
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def under(directory: str, file: WriteFile) -> WriteFile:
    """The same file below `directory`, as `make install DESTDIR=` does; `/` leaves it at its native place."""
    return replace(file, path=posixpath.join(directory, file.path.lstrip("/")))
