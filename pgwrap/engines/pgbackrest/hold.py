"""Holding a backup: pgBackRest has nothing for it. It says what comes nearest, in the spec's words."""

from __future__ import annotations

from typing import Final

from pgwrap.domain.model import Cluster
from pgwrap.errors import EngineUnsupported

_NEAREST: Final = (
    "keep more of all: retention: {full: N} with a larger N (repoN-retention-full); "
    "or keep some in a repository of its own that expires nothing, WAL neither, "
    "repositories: {NAME: {type: posix, path: DIR, retention: none}}, named last in the cluster's repositories: "
    "and written to by `pgwrap backup CLUSTER --repository NAME`; "
    "or expire by hand alone: options: {pgbackrest: {expire-auto: n}}, and `pgwrap expire` when you mean it"
)


def unsupported(cluster: Cluster) -> EngineUnsupported:
    """The refusal. An annotation would hold nothing: `expire` does not look at any."""
    return EngineUnsupported(
        "pgBackRest cannot hold a backup: retention alone decides what stays",
        hint=_NEAREST.replace("CLUSTER", cluster.name),
        cluster=cluster.name,
    )
