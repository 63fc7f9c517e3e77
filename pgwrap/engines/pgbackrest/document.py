"""Which setting stands in which section of which file of pgBackRest's. It lays nothing out and writes nothing.

One file holds the installation: what all clusters share stands in [global], the rest in each stanza. Where both the
database and a repository live on hosts of their own, the database's host gets a second file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from pgwrap.domain.model import Cluster
from pgwrap.engines.pgbackrest.repository import host_settings, policy_settings, store_settings
from pgwrap.engines.pgbackrest.settings import Setting, overriding, stanza_fault
from pgwrap.engines.pgbackrest.sharing import repositories_are_shared
from pgwrap.engines.pgbackrest.stanza import Side, instance_settings, stanza_settings
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.records import dataclass

_DATABASE_NOTES = (
    "For the database's own host, in place of its pgbackrest.conf: repositories on other hosts are opened there,",
    "so neither their credentials nor their passphrases are needed here. It serves a standby with the same data",
    "directory, too.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The settings of one file before they are laid out."""

    path: str
    subject: str
    common: tuple[Setting, ...]
    stanzas: tuple[tuple[Cluster, tuple[Setting, ...]], ...]
    notes: tuple[str, ...] = ()

    def settings(self) -> Iterable[Setting]:
        yield from self.common
        for _, settings in self.stanzas:
            yield from settings


def documents(request: RenderRequest) -> tuple[Document, ...]:
    """The installation's file, then one for each database on a host of its own."""
    return (_main(request), *_database_hosts(request))


def _main(request: RenderRequest) -> Document:
    repositories = {cluster.name: _repositories(request, cluster, "here") for cluster in request.clusters}
    shared = repositories_are_shared(request.clusters)
    common = _common(tuple(repositories.values())) if shared else ()
    stanzas = tuple(
        (
            cluster,
            overriding(
                (
                    *(setting for setting in repositories[cluster.name] if not _says(common, setting)),
                    *stanza_settings(cluster),
                )
            ),
        )
        for cluster in sorted(request.clusters, key=lambda one: one.engine_name)
    )
    return Document(
        path=request.instance.config,
        subject=f"engine {request.instance.name}",
        common=overriding((*common, *instance_settings(request.instance))),
        stanzas=stanzas,
    )


def effective_settings(
    cluster: Cluster, installation: tuple[Cluster, ...], version: EngineVersion, command: str
) -> Mapping[str, str]:
    """What pgBackRest would read for `command` of one cluster from the file as rendered, secrets left out.

    A command's section of the stanza wins over the stanza's, that over the command's global one, that over [global]
    (src/config/parse.c). A list keeps its last value. The other clusters of the installation matter only where it has
    native options of its own: what all clusters say alike stands in [global] beside them.
    """
    clusters = installation if cluster.engine.options and cluster in installation else (cluster,)
    request = RenderRequest(
        instance=cluster.engine, clusters=clusters, version=version, secret=lambda _: "secret", spec_file=""
    )
    document = _main(request)
    (stanza,) = (settings for one, settings in document.stanzas if one == cluster)
    return {
        one.key: one.values[-1]
        for settings in (document.common, stanza)
        for section in (None, command)
        for one in settings
        if one.command == section and not one.secret
    }


def own_settings(cluster: Cluster, request: RenderRequest) -> tuple[Setting, ...]:
    """What stands in the sections of one cluster's stanza; what its installation says for all is not among it."""
    (own,) = (settings for one, settings in _main(request).stanzas if one == cluster)
    return own


def _repositories(request: RenderRequest, cluster: Cluster, side: Side) -> tuple[Setting, ...]:
    """The `repoN-` settings of one cluster: a repository on another host is opened there, by that host's own file."""
    found: list[Setting] = []
    for key, repository in cluster.keyed_repositories():
        remote = repository.host is not None and (side == "database" or not is_split(cluster))
        if remote:
            found.extend(host_settings(key, repository, request.instance))
        else:
            found.extend(store_settings(key, repository, request.secret, request.version))
        found.extend(policy_settings(cluster, key, repository, request.version))
    return overriding(found)


def is_split(cluster: Cluster) -> bool:
    """Whether database and repository have hosts of their own, so that each side needs a file of its own."""
    return cluster.postgres.ssh is not None and any(one.host is not None for one in cluster.repositories)


def _common(repositories: tuple[tuple[Setting, ...], ...]) -> tuple[Setting, ...]:
    """The settings that every cluster says alike."""
    first, *others = repositories
    return tuple(setting for setting in first if all(_says(other, setting) for other in others))


def _says(settings: Iterable[Setting], wanted: Setting) -> bool:
    return any(
        (setting.key, setting.command, setting.values) == (wanted.key, wanted.command, wanted.values)
        for setting in settings
    )


def _database_hosts(request: RenderRequest) -> Iterable[Document]:
    directory = posixpath.join(posixpath.dirname(request.instance.config), "postgres-hosts")
    for cluster in sorted(request.clusters, key=lambda one: one.engine_name):
        if is_split(cluster) and stanza_fault(cluster.engine_name) is None:
            yield Document(
                path=posixpath.join(directory, cluster.engine_name, "pgbackrest.conf"),
                subject=f"engine {request.instance.name}, stanza {cluster.engine_name}",
                common=overriding((*_repositories(request, cluster, "database"), *instance_settings(request.instance))),
                stanzas=((cluster, overriding(stanza_settings(cluster, "database"))),),
                notes=_DATABASE_NOTES,
            )
