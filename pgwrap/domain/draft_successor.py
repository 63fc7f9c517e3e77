"""A first draft of the entry that describes a cluster under the other engine. It knows no engine's version."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.model import Cluster, EngineKind, PostgresTarget


def draft(old: Cluster) -> str:
    """The entry as YAML, to be read and completed by a person; what is not known is said in a comment."""
    return "\n".join(_lines(old)) + "\n"


def _lines(old: Cluster) -> Iterator[str]:
    to = EngineKind.PGBACKREST if old.engine.kind is EngineKind.BARMAN else EngineKind.BARMAN
    yield f"  {old.name}-{to}:"
    yield f"    engine: {to}"
    yield f"    engine_name: {old.engine_name}"
    yield f"    replaces: {old.name}"
    if to is EngineKind.PGBACKREST:
        yield f"    history: {old.engine_name}-history   # the stanza for what is carried over"
        yield "    repositories: [NAME]   # an entry under repositories:"
    else:
        yield "    backup: {method: postgres, checkpoint: fast}"
        yield "    wal: {delivery: stream, slot: barman, create_slot: true}"
    yield "    postgres:"
    yield from (f"      {line}" for line in _postgres(old.postgres, to))
    if old.retention.window_days is not None:
        yield f"    retention: {{window: {old.retention.window_days}d}}"
    elif old.retention.full is not None:
        yield f"    retention: {{full: {old.retention.full}}}"


def _postgres(server: PostgresTarget, to: EngineKind) -> Iterator[str]:
    if to is EngineKind.PGBACKREST:
        known = server.data_directory or "DIRECTORY   # pgBackRest reads the files themselves"
        yield f"data_directory: {known}"
    if server.host is not None:
        yield f"host: {server.host}"
    if server.socket_directory is not None:
        yield f"socket_directory: {server.socket_directory}"
    yield f"port: {server.port}"
    if to is EngineKind.BARMAN:
        yield "user: barman   # see docs/howto/least-privilege-role.md"
        yield "streaming_user: streaming_barman"
    elif server.user is not None:
        yield f"user: {server.user}"
