"""Drafted clusters and installations as the words of the spec; defaults are left unsaid. It decides nothing.

Secrets do not become words: they are given apart, by the path of the word that should refer to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pgwrap.domain.adoption import DraftValue, Words
from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    EngineInstance,
    NativeOption,
    Path,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    WalPolicy,
)
from pgwrap.engines.barman.draft import DEFAULT_CONFIG, DEFAULT_SERVERS
from pgwrap.engines.barman.words import DEFAULT_HOME

_HOUR: Final = 3600
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def engine_words(instance: EngineInstance) -> Words:
    """An entry below `engines`."""
    return _said(
        {
            "engine": None if instance.name == "barman" else "barman",
            "config": None if instance.config == DEFAULT_CONFIG else instance.config,
            "servers": None if instance.include == DEFAULT_SERVERS else instance.include,
            "home": None if instance.home == DEFAULT_HOME else instance.home,
            "run_as": instance.run_as,
            "log_directory": instance.log_directory,
            "lock_directory": instance.lock_directory,
            "options": _options(instance.options),
        }
    )


def repository_words(repository: Repository) -> Words:
    """An entry below `repositories`."""
    return _said({"type": repository.type, "bucket": repository.bucket, "path": repository.path})


def cluster_words(cluster: Cluster) -> Words:
    """An entry below `clusters`, whatever its secrets."""
    options = _options(cluster.options)
    return _said(
        {
            "engine": cluster.engine.name,
            "description": cluster.description,
            "active": None if cluster.active else False,
            "postgres": _postgres(cluster.postgres),
            "standbys": tuple(_postgres(standby) or {} for standby in cluster.standbys) or None,
            "repositories": tuple(repository.name for repository in cluster.repositories) or None,
            "passive": None if cluster.passive is None else _remote_host(cluster.passive),
            "backup": _backup(cluster.backup),
            "wal": None if cluster.passive is not None else _wal(cluster.wal),
            "retention": _retention(cluster.retention),
            "objectives": _objectives(cluster),
            "hooks": dict(cluster.hooks) or None,
            "models": _models(cluster),
            "options": {"barman": options} if options else None,
        }
    )


def cluster_secrets(cluster: Cluster) -> Iterator[tuple[Path, str]]:
    """The path of every word that should refer to a secret, and the secret."""
    servers: list[tuple[Path, PostgresTarget]] = [(("postgres",), cluster.postgres)]
    servers += ((("standbys", str(index)), standby) for index, standby in enumerate(cluster.standbys))
    servers += ((("models", model.name, "postgres"), model.postgres) for model in cluster.models if model.postgres)
    for path, server in servers:
        words: Mapping[str, Secret | None] = {
            "password": server.password,
            "streaming_password": server.streaming_password,
        }
        for word, secret in words.items():
            if secret is not None:
                yield (*cluster.spec_path, *path, word), secret.value[0]


def _said(words: Mapping[str, DraftValue]) -> Words:
    return {word: value for word, value in words.items() if value is not None}


def _options(options: tuple[NativeOption, ...]) -> Words | None:
    return {option.key: _plain(",".join(option.values)) for option in options} or None


def _plain(text: str) -> str | int:
    return int(text) if _NUMBER.fullmatch(text) else text


def _postgres(server: PostgresTarget) -> Words | None:
    words = _said(
        {
            "host": server.host,
            "port": None if server.port == 5432 else server.port,
            "socket_directory": server.socket_directory,
            "user": server.user,
            "database": server.database,
            "sslmode": server.sslmode,
            "streaming_user": server.streaming_user,
            "ssh": None if server.ssh is None else _remote_host(server.ssh),
        }
    )
    return words or None


def _remote_host(host: RemoteHost) -> Words:
    return _said({"address": host.address, "user": host.user, "port": host.port})


def _backup(backup: BackupPolicy) -> Words | None:
    words = _said(
        {
            "method": backup.method,
            "from": backup.source,
            "parallel": backup.parallel,
            "reuse": backup.reuse,
            "compression": backup.compression,
            "compression_level": backup.compression_level,
            "checkpoint": backup.checkpoint,
            "rate_limit": None if backup.rate_limit is None else f"{backup.rate_limit // 1024}KiB/s",
        }
    )
    return words or None


def _wal(wal: WalPolicy) -> Words:
    return _said(
        {
            "delivery": wal.delivery,
            "slot": wal.slot,
            "create_slot": wal.create_slot,
            "streaming_name": wal.streaming_name,
            "compression": wal.compression,
            "compression_level": wal.compression_level,
        }
    )


def _retention(policy: RetentionPolicy) -> Words | None:
    words = _said(
        {
            "full": policy.full,
            "window": None if policy.window_days is None else f"{policy.window_days}d",
            "minimum_full": policy.minimum_full,
        }
    )
    return words or None


def _objectives(cluster: Cluster) -> Words | None:
    age = cluster.objectives.backup_age
    return None if age is None else {"backup_age": f"{age // _HOUR}h"}


def _models(cluster: Cluster) -> Words | None:
    found: Words = {}
    for model in cluster.models:
        postgres = None if model.postgres is None else _postgres(model.postgres) or {}
        found[model.name] = _said({"postgres": postgres, "options": _options(model.options)})
    return found or None
