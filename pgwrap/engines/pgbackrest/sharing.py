"""Whether the clusters of one installation keep the same repositories, and so say them once. It renders nothing."""

from __future__ import annotations

from pgwrap.domain.model import Cluster


def repositories_are_shared(clusters: tuple[Cluster, ...]) -> bool:
    """Whether every cluster has the same numbered repositories; they then stand in the global section.

    A native `repoN-` option of one cluster alone makes its repositories its own.
    """
    if any(option.key.startswith("repo") for cluster in clusters for option in cluster.options):
        return False
    keyed = {cluster.keyed_repositories() for cluster in clusters}
    return len(keyed) == 1
