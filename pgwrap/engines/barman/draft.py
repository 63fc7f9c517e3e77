"""From what Barman works with back to what a spec would desire: words.py turned round. It promises nothing.

A word is taken only where it says the option and no more; whatever is left, or would come out otherwise, adopt.py adds
as native options after rendering the draft.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal

from pgwrap.domain.model import (
    BackupPolicy,
    BarmanModel,
    Cluster,
    EngineInstance,
    EngineKind,
    Objectives,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    WalPolicy,
)
from pgwrap.domain.native import Effective
from pgwrap.engines.barman import conninfo
from pgwrap.engines.barman.at_work import RSYNC
from pgwrap.engines.barman.values import value_problem
from pgwrap.engines.barman.words import (
    COMPRESSIONS,
    DEFAULT_HOME,
    DEFAULT_STREAMING_NAME,
    DEFAULT_USER,
    HOOKS,
    slot_name,
    ssh_command,
)
from pgwrap.records import dataclass

DEFAULT_CONFIG: Final = "/etc/barman.conf"
DEFAULT_SERVERS: Final = "/etc/barman.d"
DEFAULT_LOGS: Final = "/var/log/barman"
_HOST: Final = re.compile(r"[^\s\-@/\[\]'\\][^\s@/\[\]'\\]*")
_ACCOUNT: Final = re.compile(r"[^\s\-:@/][^\s:@/]*")
_SSLMODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_PARAMETERS: Final = frozenset({"host", "port", "user", "dbname", "sslmode", "password"})
_WORDS_OF_COMPRESSIONS: Final = {native: word for word, native in COMPRESSIONS.items()}
_SPEC_COMPRESSIONS: Final = frozenset({"gz", "bz2", "lz4", "zst", "xz", "snappy"})
SPACES_ALIKE: Final = conninfo.OPTIONS | {"retention_policy", "tablespace_bandwidth_limit", "backup_options"}
"""Options to which a line break is a space like any other."""
_SSH_WITH_VALUE: Final = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_DAYS: Final = re.compile(r"RECOVERY WINDOW OF (\d+) DAYS")
_COPIES: Final = re.compile(r"REDUNDANCY (\d+)")
_HOUR: Final = 3600
_MOST_DAYS: Final = 36_500
_MOST_JOBS: Final = 999


@dataclass(frozen=True, slots=True)
class Said:
    """A server's options by name, as the engine works with them."""

    options: Mapping[str, Effective]

    def value(self, option: str) -> str | None:
        """A value in its one spelling; None when it is not set."""
        found = self.options.get(option)
        return found.values[0] if found is not None and len(found.values) == 1 else None

    def text(self, option: str) -> str | None:
        """What stands in a file; None for a default, and for what no line of a spec can hold."""
        found = self.options.get(option)
        text = found.written[0] if found is not None and found.written else None
        spaces_alike = text is not None and option in SPACES_ALIKE
        held = " ".join(text.split()) if spaces_alike and text is not None else text
        return None if held is None or value_problem(held) is not None else held

    def stated(self, option: str) -> str | None:
        """The value when a file says it; None for a default."""
        return self.value(option) if self.text(option) is not None else None

    def number(self, option: str, least: int, most: int) -> int | None:
        """The whole number that a file says, within what the spec's word takes."""
        text = self.stated(option)
        return int(text) if text is not None and text.lstrip("-").isdigit() and least <= int(text) <= most else None


def is_path(text: str | None) -> bool:
    """Whether the spec takes the text for a path."""
    return text is not None and text.startswith("/") and "//" not in text and text == text.strip()


def instance(name: str, said: Said, config: str | None, servers: str | None) -> EngineInstance:
    """The installation. What has no word, or another value than the word can say, is left out."""
    user, home, log = said.value("barman_user"), said.value("barman_home"), said.value("log_file")
    directory, file = posixpath.split(log or "")
    locks = said.stated("barman_lock_directory")
    include = (servers or "").rstrip("/")
    return EngineInstance(
        name=name,
        kind=EngineKind.BARMAN,
        command="barman",
        config=config if config is not None and is_path(config) else DEFAULT_CONFIG,
        include=include if is_path(include) else DEFAULT_SERVERS,
        home=home if home is not None and is_path(home) else DEFAULT_HOME,
        run_as=user if user != DEFAULT_USER and user is not None and _ACCOUNT.fullmatch(user) else None,
        log_directory=directory if file == "barman.log" and is_path(directory) and directory != DEFAULT_LOGS else None,
        lock_directory=locks if is_path(locks) else None,
    )


def cluster(server: str, engine: EngineInstance, said: Said) -> Cluster:
    """A server as a cluster of the spec."""
    described = said.stated("description")
    passive = said.stated("primary_ssh_command")
    found = Cluster(
        name=server,
        engine=engine,
        engine_name=server,
        description=described if described and described == described.strip() else None,
        active=said.value("active") != "n",
        repositories=_repositories(server, engine, said),
        retention=_retention(said),
        hooks=tuple(_hooks(said)),
        passive=None if passive is None else remote_host(passive),
    )
    if found.passive is not None:
        return found
    return _own_slot(replace(_with_servers(found, said), backup=_backup(said), wal=_wal(said), objectives=_goals(said)))


def model(name: str, said: Said) -> BarmanModel:
    """A model; its connection in words where they say all of it."""
    return BarmanModel(name=name, postgres=_server(said) if "conninfo" in said.options else None)


def remote_host(command: str) -> RemoteHost | None:
    """The host that an ssh command reaches; None where it names none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    user, port, rest = None, None, iter(words[1:])
    for word in rest:
        if word.startswith("-") and len(word) > 1:
            value = word[2:] or (next(rest, "") if word[1] in _SSH_WITH_VALUE else "")
            user = value if word[1] == "l" else user
            port = int(value) if word[1] == "p" and value.isdigit() else port
            continue
        account, _, address = word.rpartition("@")
        user = account or user
        if not _HOST.fullmatch(address) or ":" in address or (user and not _ACCOUNT.fullmatch(user)):
            return None
        return RemoteHost(address=address, user=user, port=port)
    return None


def _exact_ssh(said: Said) -> RemoteHost | None:
    text = said.stated("ssh_command")
    host = None if text is None else remote_host(text)
    return host if host is not None and ssh_command(host) == text else None


def _with_servers(found: Cluster, said: Said) -> Cluster:
    """The server, and with primary_conninfo the primary behind the standby."""
    server = _server(said) or PostgresTarget(ssh=_exact_ssh(said))
    primary = said.text("primary_conninfo")
    target = None if primary is None else _target("primary_conninfo", primary)
    if target is None:
        return replace(found, postgres=server)
    return replace(found, postgres=target, standbys=(server,))


def _server(said: Said) -> PostgresTarget | None:
    text = said.text("conninfo")
    target = None if text is None else _target("conninfo", text)
    if target is None:
        return None
    return replace(_with_streaming(target, said), ssh=_exact_ssh(said))


def _target(option: str, text: str) -> PostgresTarget | None:
    """A connection string in the spec's words; None where they would say less, or more."""
    if conninfo.parameters(text) is None:
        return None
    found = dict(part.partition("=")[::2] for part in conninfo.meaning(option, text))
    host, port, database = found.get("host"), found.get("port", ""), found.get("dbname")
    local = host is not None and host.startswith("/")
    if (
        set(found) - _PARAMETERS
        or not database
        or not port.isdigit()
        or not 0 < int(port) < 65536
        or not all(found.values())
        or (local and not is_path(host))
        or (host is not None and not local and not _HOST.fullmatch(host))
        or found.get("sslmode", "prefer") not in _SSLMODES
    ):
        return None
    return PostgresTarget(
        host=None if local else host,
        socket_directory=host if local else None,
        port=int(port),
        user=found.get("user"),
        database=None if database == "postgres" else database,
        sslmode=found.get("sslmode"),
        password=_secret(found.get("password")),
    )


def _with_streaming(target: PostgresTarget, said: Said) -> PostgresTarget:
    """The streaming role, where the rest of its connection string is that of the server."""
    text = said.text("streaming_conninfo")
    if text is None or conninfo.parameters(text) is None:
        return target
    found = dict(part.partition("=")[::2] for part in conninfo.meaning("streaming_conninfo", text))
    user, password = found.get("user"), _secret(found.get("password"))
    if not user or user == target.user:
        return target
    return replace(target, streaming_user=user, streaming_password=password)


def _secret(text: str | None) -> Secret | None:
    return None if not text else Secret(kind="literal", value=(text,))


def _repositories(server: str, engine: EngineInstance, said: Said) -> tuple[Repository, ...]:
    """A directory of its own below something else than Barman's home, or a bucket."""
    bases, wals = said.stated("basebackups_directory"), said.stated("wals_directory")
    if bases is not None and bases == wals and bases.startswith("s3://"):
        bucket, _, prefix = bases.removeprefix("s3://").partition("/")
        path = f"/{prefix}" if prefix else None
        if bucket and (path is None or is_path(path)):
            return (Repository(name="", type="s3", bucket=bucket, path=path),)
    parent, name = posixpath.split(said.stated("backup_directory") or "")
    if name != server or not is_path(parent) or parent == engine.home:
        return ()
    return (Repository(name="", path=parent),)


def _retention(said: Said) -> RetentionPolicy:
    policy = said.value("retention_policy") or ""
    window, copies = _DAYS.fullmatch(policy), _COPIES.fullmatch(policy)
    days = int(window[1]) if window is not None else 0
    full = int(copies[1]) if copies is not None else 0
    minimum = said.number("minimum_redundancy", 1, 9_999_999)
    return RetentionPolicy(
        deliberate=bool(days or full or minimum),
        full=full if 0 < full < 10**7 else None,
        window_days=days if 0 < days <= _MOST_DAYS else None,
        minimum_full=minimum,
    )


def _hooks(said: Said) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Shell lines that are a list of words and nothing more."""
    for event, option in HOOKS.items():
        text = said.stated(option)
        if text is None:
            continue
        try:
            words = tuple(shlex.split(text))
        except ValueError:
            continue
        if words and all(word.strip() for word in words) and shlex.join(words) == text:
            yield event, words


def _method(said: Said) -> Literal["postgres", "rsync", "local-rsync", "snapshot"] | None:
    match said.value("backup_method"):
        case "postgres" | "rsync" | "local-rsync" | "snapshot" as method:
            return method
    return None


def _backup(said: Said) -> BackupPolicy:
    method = _method(said)
    copies = method in RSYNC
    kibibytes = said.number("bandwidth_limit", 1, 1 << 30)
    return BackupPolicy(
        method=method,
        parallel=said.number("parallel_jobs", 1, _MOST_JOBS) if copies else None,
        reuse=_reuse(said.stated("reuse_backup")) if copies else None,
        compression=_compression(said.stated("backup_compression")) if method == "postgres" else None,
        compression_level=said.number("backup_compression_level", -7, 22) if method == "postgres" else None,
        source="standby" if "primary_conninfo" in said.options else None,
        checkpoint=_checkpoint(said.stated("immediate_checkpoint")),
        rate_limit=None if kibibytes is None or method == "snapshot" else kibibytes * 1024,
    )


def _reuse(text: str | None) -> Literal["link", "copy", "off"] | None:
    match text:
        case "link" | "copy" | "off":
            return text
    return None


def _checkpoint(text: str | None) -> Literal["fast", "spread"] | None:
    return None if text is None else "fast" if text == "y" else "spread"


def _compression(text: str | None) -> str | None:
    word = _WORDS_OF_COMPRESSIONS.get(text or "", text)
    return word if word in {*_SPEC_COMPRESSIONS, "none"} else None


def _wal(said: Said) -> WalPolicy:
    archives, streams = said.value("archiver") == "y", said.value("streaming_archiver") == "y"
    slot = said.value("slot_name")
    # Without a slot the words would ask for one: streaming stays a native option then.
    streams = streams and slot is not None and len(slot) <= 63
    delivery: Literal["archive", "stream", "both"] = "archive"
    if streams:
        delivery = "both" if archives else "stream"
    compression = _compression(said.stated("compression"))
    streaming_name = said.stated("streaming_archiver_name")
    return WalPolicy(
        delivery=delivery,
        slot=slot if streams else None,
        create_slot=True if streams and said.value("create_slot") == "auto" else None,
        streaming_name=None if streaming_name == DEFAULT_STREAMING_NAME else streaming_name,
        compression=None if compression == "none" else compression,
        compression_level=None if compression is None else said.number("compression_level", -7, 22),
    )


def _own_slot(found: Cluster) -> Cluster:
    """No word for the name that the slot has anyhow."""
    unnamed = replace(found, wal=replace(found.wal, slot=None))
    return unnamed if found.wal.slot is not None and slot_name(unnamed) == found.wal.slot else found


def _goals(said: Said) -> Objectives:
    age = said.stated("last_backup_maximum_age")
    hours = age is not None and int(age) and int(age) % _HOUR == 0 and int(age) <= 100 * 365 * 24 * _HOUR
    return Objectives(backup_age=int(age) if hours and age is not None else None)
