"""What Barman, by version, makes of the spec's words: tables with a reason and the nearest thing that works.

An error where safety is touched (retention, encryption, delivery, durability), a warning where it is only speed or
comfort. It renders nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pgwrap.domain.model import Cluster, Path, Secret
from pgwrap.engines.barman.limits import LIMITS
from pgwrap.engines.barman.native import lack, native_remarks
from pgwrap.engines.barman.options import options
from pgwrap.engines.barman.values import name_problem
from pgwrap.engines.barman.words import backup_directory, server_settings, slot_name
from pgwrap.engines.port import EngineVersion, Remark, RemarkSeverity

_SAFETY: Final = frozenset(
    {
        "retention_policy",
        "minimum_redundancy",
        "encryption",
        "encryption_key_id",
        "encryption_passphrase_command",
        "archiver",
        "streaming_archiver",
        "slot_name",
        "wals_directory",
        "basebackups_directory",
        "backup_method",
        "backup_options",
        "backup_compression_format",
        "primary_conninfo",
        "primary_ssh_command",
        "snapshot_provider",
        "snapshot_disks",
    }
)
"""Options whose loss would cost more than time, space or comfort."""


def review(cluster: Cluster, version: EngineVersion) -> tuple[Remark, ...]:
    """Remarks on one cluster, in the order of the tables, each on the word's own path."""
    limits = (limit.remark(cluster) for limit in LIMITS if limit.applies(cluster, version))
    return (*_name(cluster), *limits, *_too_new(cluster, version), *_native(cluster, version))


def review_together(clusters: tuple[Cluster, ...], version: EngineVersion) -> tuple[Remark, ...]:
    """Conflicts in one Barman: names, paths (one clash breaks every command of all servers), slots, sections."""
    names = ((cluster, ("engine_name",), cluster.engine_name, "the server name") for cluster in clusters)
    paths = (
        (cluster, ("repositories",), backup_directory(cluster).rstrip("/"), "the backup directory")
        for cluster in clusters
    )
    slots = (
        (cluster, ("wal", "slot"), f"{cluster.postgres.host}:{cluster.postgres.port} {slot}", "the replication slot")
        for cluster in clusters
        if (slot := slot_name(cluster)) is not None
    )
    models = ((c, ("models", model.name), model.name, "the section name") for c in clusters for model in c.models)
    servers = ((cluster, ("engine_name",), cluster.engine_name, "the section name") for cluster in clusters)
    return (
        *_of_the_installation(clusters, version),
        *_shared(names),
        *_shared(paths),
        *_shared(slots),
        *_shared((*servers, *models), only="models"),
    )


def _shared(users: Iterable[tuple[Cluster, Path, str, str]], only: str = "") -> Iterator[Remark]:
    first: dict[str, str] = {}
    for cluster, word, value, noun in users:
        if value in first and word[0].startswith(only):
            message = f"{noun} {value} is also that of the cluster {first[value]}"
            yield Remark(path=(*cluster.spec_path, *word), severity="error", message=message, hint="make them differ")
        first.setdefault(value, cluster.name)


def _name(cluster: Cluster) -> Iterator[Remark]:
    names = (
        (("engine_name",), cluster.engine_name),
        *((("models", model.name), model.name) for model in cluster.models),
    )
    for word, name in names:
        problem = name_problem(name)
        if problem is not None:
            message = f"Barman cannot have a section called {name!r}: {problem}"
            hint = "give it another engine_name" if word == ("engine_name",) else "give it another name"
            yield Remark(path=(*cluster.spec_path, *word), severity="error", message=message, hint=hint)


def _too_new(cluster: Cluster, version: EngineVersion) -> Iterator[Remark]:
    """Words that became an option, or a value of one, that this version does not have."""
    for setting in server_settings(cluster, version, _masked):
        option = options().get(setting.key)
        if option is None or setting.word[:1] in (("options",), ("models",)):
            continue
        message = lack(option, setting.value, version)
        if message is not None and setting.value != "none":
            severity: RemarkSeverity = "error" if setting.key in _SAFETY else "warning"
            consequence = "" if severity == "error" else ": it is ignored"
            path = (*cluster.spec_path, *setting.word)
            yield Remark(path=path, severity=severity, message=f"{message}{consequence}", hint="upgrade Barman")


def _native(cluster: Cluster, version: EngineVersion) -> Iterator[Remark]:
    base = (*cluster.spec_path, "options", "barman")
    words = {setting.key: setting.word for setting in server_settings(replace(cluster, options=()), version, _masked)}
    for option in cluster.options:
        yield from native_remarks(option, "server", (*base, option.key), version)
        if option.key in words:
            message = f"replaces what the spec's {'.'.join(words[option.key])} says"
            yield Remark(path=(*base, option.key), severity="warning", message=message, hint="say it in one place")
    for model in cluster.models:
        for option in model.options:
            path = (*cluster.spec_path, "models", model.name, "options", option.key)
            yield from native_remarks(option, "model", path, version)


def _of_the_installation(clusters: tuple[Cluster, ...], version: EngineVersion) -> Iterator[Remark]:
    for instance in dict.fromkeys(cluster.engine for cluster in clusters):
        for option in instance.options:
            yield from native_remarks(option, "global", ("engines", instance.name, "options", option.key), version)


def _masked(_: Secret) -> str:
    return "*"
