"""Notices that a cluster's `engine:` was changed in the spec: a catalog would be left behind without a word."""

from __future__ import annotations

from pgwrap.domain.model import Cluster, EngineKind, Fleet
from pgwrap.errors import Refused
from pgwrap.ops.records import Records

_OTHER = {EngineKind.PGBACKREST: EngineKind.BARMAN, EngineKind.BARMAN: EngineKind.PGBACKREST}


def require_same_engines(fleet: Fleet, clusters: tuple[Cluster, ...], records: Records) -> None:
    """Refused, with what to do instead, where a cluster was configured for the other engine before."""
    for cluster in clusters:
        known = records.engines.get(cluster.name)
        if known == _OTHER[cluster.engine.kind].value and cluster.replaces is None and not _replaced(cluster, fleet):
            raise _refusal(cluster, known)


def note_engines(clusters: tuple[Cluster, ...], records: Records) -> None:
    """Remember which engine each of them is configured for now."""
    records.note_engines({cluster.name: cluster.engine.kind.value for cluster in clusters})


def _replaced(cluster: Cluster, fleet: Fleet) -> bool:
    return any(other.replaces == cluster.name for other in fleet.clusters)


def _refusal(cluster: Cluster, before: str) -> Refused:
    return Refused(
        f"{cluster.name} was backed up by {before} and is to be by {cluster.engine.kind}: its backups there would be "
        "left behind without a word",
        hint=f"that is a migration: keep the entry with `engine: {before}` under another name, let this one say "
        f"`replaces:` that name, and see `pgwrap migrate plan {cluster.name}`",
        cluster=cluster.name,
    )
