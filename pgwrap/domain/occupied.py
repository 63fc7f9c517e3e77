"""Whether the place that a cluster is to be kept in holds another one. It looks at nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.facts import Observation


def occupied(seen: Observation, own: str | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each stanza or server in which there is nothing of the system `own`, but of others, with what these are."""
    if own is None or not seen.read:
        return
    found: dict[str, dict[str, None]] = {}
    for place, system in _told(seen):
        found.setdefault(place, {})[system] = None
    yield from ((place, tuple(systems)) for place, systems in found.items() if own not in systems)


def _told(seen: Observation) -> Iterator[tuple[str, str]]:
    """A Barman without backups, or with those of another cluster, names the system that it is connected to."""
    for backup in seen.backups:
        if backup.system_identifier is not None:
            yield backup.engine_name, backup.system_identifier
    for archive in seen.archives if seen.engine == "pgbackrest" else ():
        if archive.system_identifier is not None:
            yield archive.engine_name or seen.engine_name, archive.system_identifier
