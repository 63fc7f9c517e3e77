"""What this version of pgBackRest makes of a cluster's words, as remarks. It renders nothing and asks nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pgwrap.domain.model import Cluster, Path, Secret
from pgwrap.engines.pgbackrest.doubts import compression_doubts, hook_doubts, postgres_doubts, repository_doubts
from pgwrap.engines.pgbackrest.limits import LIMITS
from pgwrap.engines.pgbackrest.options import fault_in
from pgwrap.engines.pgbackrest.repository import block_is_available, host_settings, policy_settings, store_settings
from pgwrap.engines.pgbackrest.settings import Setting, stanza_fault, unsafe
from pgwrap.engines.pgbackrest.sharing import repositories_are_shared
from pgwrap.engines.pgbackrest.stanza import instance_settings, stanza_settings
from pgwrap.engines.port import EngineVersion, Remark

_BLOCK = re.compile(r"repo[0-9]+-block")
"""As old as 2.45, where it asks for `beta`."""


def review(cluster: Cluster, version: EngineVersion, newest: EngineVersion) -> tuple[Remark, ...]:
    """Every remark about one cluster: its words, its repositories, its native options, and unsafe values."""
    remarks = (
        *_words(cluster, version),
        *_doubts(cluster, version, newest),
        *_options(cluster, version),
    )
    return tuple(dict.fromkeys(remarks))


def _words(cluster: Cluster, version: EngineVersion) -> Iterator[Remark]:
    fault = stanza_fault(cluster.engine_name)
    if fault is not None:
        yield Remark(path=(*cluster.spec_path, "engine_name"), severity="error", message=fault)
    yield from (limit.remark(cluster) for limit in LIMITS if limit.applies(cluster, version))


def _doubts(cluster: Cluster, version: EngineVersion, newest: EngineVersion) -> Iterator[Remark]:
    for repository in cluster.repositories:
        yield from repository_doubts(cluster, repository, version)
    yield from compression_doubts(cluster)
    yield from hook_doubts(cluster)
    yield from postgres_doubts(cluster, version, newest)


def _options(cluster: Cluster, version: EngineVersion) -> Iterator[Remark]:
    """Each option that would be written, against the option table of the version."""
    told = {(*cluster.spec_path, *limit.path) for limit in LIMITS if limit.applies(cluster, version)}
    own = _cluster_settings(cluster, version)
    trial = block_is_available(cluster, version)
    for setting in own:
        if setting.path not in told and not (trial and _BLOCK.fullmatch(setting.key)):
            yield from _faults(setting, version, stanza=True)
    for setting in instance_settings(cluster.engine):
        yield from _faults(setting, version, stanza=False)
    yield from _overridden((*instance_settings(cluster.engine),))
    yield from _overridden(own)


def _cluster_settings(cluster: Cluster, version: EngineVersion) -> tuple[Setting, ...]:
    found: list[Setting] = []
    for key, repository in cluster.keyed_repositories():
        found.extend(store_settings(key, repository, _masked, version))
        found.extend(host_settings(key, repository, cluster.engine))
        found.extend(policy_settings(cluster, key, repository, version))
    return (*found, *stanza_settings(cluster))


def _masked(secret: Secret) -> str:
    return f"{secret.kind} secret"


def _faults(setting: Setting, version: EngineVersion, *, stanza: bool) -> Iterator[Remark]:
    problem = unsafe(setting)
    if problem is not None:
        yield Remark(path=setting.path, severity="error", message=problem.message)
        return
    fault = fault_in(setting.key, setting.values, version, stanza=stanza, command=setting.command)
    if fault is not None:
        yield Remark(path=setting.path, severity="error", message=fault.message, hint=fault.hint)


def _overridden(settings: Iterable[Setting]) -> Iterator[Remark]:
    """A native option that says again, in its own way, what a word says already."""
    words = {(setting.command, setting.key): setting for setting in settings if not setting.native}
    for setting in settings:
        word = words.get((setting.command, setting.key))
        if setting.native and word is not None:
            yield Remark(
                path=setting.path,
                severity="warning",
                message=f"{setting.key} takes the place of {'.'.join(word.path)}",
                hint="keep one of them",
            )


def review_together(clusters: tuple[Cluster, ...]) -> tuple[Remark, ...]:
    """Conflicts between clusters of one installation."""
    return (
        *_same_stanza(clusters),
        *_same_directory(clusters),
        *_same_store(clusters),
        *_different_users(clusters),
        *_homeless_histories(clusters),
    )


def _homeless_histories(clusters: tuple[Cluster, ...]) -> Iterator[Remark]:
    """A history stanza has no section, so it knows only repositories that stand in the global one."""
    if repositories_are_shared(clusters):
        return
    for cluster in clusters:
        if cluster.history is not None:
            yield _conflict(
                (*cluster.spec_path, "history"),
                f"the clusters have different repositories, so {cluster.history!r} would not find those of "
                f"{cluster.name!r}",
                "give this cluster an engine (configuration file) of its own, or all of them the same repositories",
            )


def _same_stanza(clusters: tuple[Cluster, ...]) -> Iterator[Remark]:
    first: dict[str, Cluster] = {}
    for cluster in clusters:
        known = first.setdefault(cluster.engine_name, cluster)
        if known is not cluster:
            yield _conflict(
                (*cluster.spec_path, "engine_name"),
                f"the stanza {cluster.engine_name!r} already belongs to the cluster {known.name!r}",
                "give it another engine_name",
            )


def _same_directory(clusters: tuple[Cluster, ...]) -> Iterator[Remark]:
    first: dict[tuple[str | None, str], Cluster] = {}
    for cluster in clusters:
        directory = cluster.postgres.data_directory
        if directory is None:
            continue
        host = None if cluster.postgres.ssh is None else cluster.postgres.ssh.address
        known = first.setdefault((host, directory.rstrip("/")), cluster)
        if known is not cluster:
            yield _conflict(
                (*cluster.spec_path, "postgres", "data_directory"),
                f"the data directory {directory} already belongs to the cluster {known.name!r}",
                "one cluster cannot archive to two stanzas",
            )


def _same_store(clusters: tuple[Cluster, ...]) -> Iterator[Remark]:
    """pgBackRest refuses two local repositories with one path ([032])."""
    for cluster in clusters:
        first: dict[str, str] = {}
        for index, repository in enumerate(cluster.repositories):
            if repository.host is not None or repository.type not in {"posix", "cifs"} or repository.path is None:
                continue
            known = first.setdefault(repository.path.rstrip("/"), repository.name)
            if known != repository.name:
                yield _conflict(
                    (*cluster.spec_path, "repositories", str(index)),
                    f"the repositories {known!r} and {repository.name!r} have one path, {repository.path}",
                    "give each a path of its own",
                )


def _different_users(clusters: tuple[Cluster, ...]) -> Iterator[Remark]:
    stated = {cluster.run_as: cluster for cluster in reversed(clusters) if cluster.run_as is not None}
    if len(stated) > 1:
        names = " and ".join(sorted(f"{cluster.name} as {user}" for user, cluster in stated.items() if user))
        yield Remark(
            path=(*clusters[-1].spec_path, "run_as"),
            severity="warning",
            message=f"one configuration file serves clusters that run as different users: {names}",
            hint="give each user an entry of its own in engines:, or a group that may read the file",
        )


def _conflict(path: Path, message: str, hint: str) -> Remark:
    return Remark(path=path, severity="error", message=message, hint=hint)
