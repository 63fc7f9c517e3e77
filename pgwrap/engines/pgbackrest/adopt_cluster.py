"""A stanza's options as a cluster's words: its servers, its backups, its WAL. Repositories are not read here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from pgwrap.domain.adoption import DraftValue
from pgwrap.domain.model import Path
from pgwrap.engines.pgbackrest import adopt_values as to
from pgwrap.engines.pgbackrest.adopt_values import Convert
from pgwrap.engines.pgbackrest.layers import GLOBAL, Given, Layers, sections_for
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

_COMPRESS_DEFAULT = "gz"
_COMPRESS = ("none", "gz", "bz2", "lz4", "zst")
COMPRESSION = ("compress-type", "compress-level")


@dataclass(frozen=True, slots=True)
class Word:
    """A word for the option, and where it is set."""

    path: Path
    value: DraftValue
    sources: tuple[Given, ...] = field(default=())


def base_words(version: EngineVersion) -> Mapping[str, tuple[Path, Convert]]:
    """Options that have a word of the cluster, whatever the command."""
    return {
        "process-max": (("backup", "parallel"), to.number(1, 999)),
        "backup-standby": (
            ("backup", "from"),
            to.choice({"n": "primary", "y": "standby", "prefer": "prefer-standby"}),
        ),
        "start-fast": (("backup", "checkpoint"), to.choice({"y": "fast", "n": "spread"})),
        "resume": (("backup", "resume"), to.flag),
        "exclude": (("backup", "exclude"), to.texts),
        "checksum-page": (("backup", "checksum_page"), to.flag),
        "archive-async": (("wal", "async"), to.flag),
        "spool-path": (("wal", "spool"), to.path),
        "archive-push-queue-max": (("wal", "queue_maximum"), to.amount),
        "archive-timeout": (("wal", "timeout"), to.duration(version)),
    }


COMMAND_WORDS: Mapping[tuple[str, str], tuple[Path, Convert]] = {
    ("process-max", "archive-push"): (("wal", "parallel"), to.number(1, 999)),
}
"""Options of one command that have a word of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What one option is in a stanza: for all commands, and for those that read it otherwise."""

    base: Given | None
    apart: Mapping[str, Given]


def slots(layers: Layers, stanza: str, name: str) -> Slots:
    """The option's value for all commands and for each that a section of its own gives another."""
    rule = layers.rules.options[name]
    by_command = {
        command: found for command in sorted(rule.commands) if (found := _strongest(layers, stanza, command, name))
    }
    base = next((found for section in (stanza, GLOBAL) if (found := _in(layers, section, name))), None)
    distinct = {found.values for found in by_command.values()}
    if len(by_command) == len(rule.commands) and len(distinct) == 1:
        base = next(iter(by_command.values()))
    apart = {command: found for command, found in by_command.items() if base is None or found.values != base.values}
    return Slots(base=base, apart=apart)


def _strongest(layers: Layers, stanza: str, command: str, name: str) -> Given | None:
    return next((found for section in sections_for(stanza, command) if (found := _in(layers, section, name))), None)


def _in(layers: Layers, section: str, name: str) -> Given | None:
    return next((given for given in layers.section(section) if given.rule.name == name), None)


def option_words(layers: Layers, stanza: str, name: str, version: EngineVersion) -> tuple[Word, ...] | None:
    """The words, and the native options of commands, that one option becomes; None where no word means its value."""
    where, convert = base_words(version)[name]
    found = slots(layers, stanza, name)
    words: list[Word] = []
    if found.base is not None:
        value = convert(found.base.values)
        if value is None:
            return None
        words.append(Word(where, value, (found.base,)))
    for command, given in found.apart.items():
        own = COMMAND_WORDS.get((name, command))
        value = own[1](given.values) if own is not None else None
        if own is not None and value is not None:
            words.append(Word(own[0], value, (given,)))
        else:
            words.append(Word(("options", "pgbackrest", command, name), to.native(given), (given,)))
    return tuple(words)


def compression_words(layers: Layers, stanza: str) -> tuple[Word, ...] | None:
    """How backups and WAL are compressed; both options together, for one decides the other."""
    kinds, levels = (slots(layers, stanza, name) for name in COMPRESSION)
    backup = _compression(kinds, levels, "backup")
    wal = _compression(kinds, levels, "archive-push")
    if backup is None or wal is None:
        return None
    words = list(_compression_words("backup", backup))
    same = [given.values for given in backup] == [given.values for given in wal]
    if not same:
        if not any(one.rule.name == "compress-type" for one in wal):
            words.append(Word(("wal", "compression"), _COMPRESS_DEFAULT))
        words.extend(_compression_words("wal", wal))
    return tuple(words)


def _compression(kinds: Slots, levels: Slots, command: str) -> tuple[Given, ...] | None:
    """The type and level of one command, as far as they are said; None where no word means them."""
    kind, level = (slots.apart.get(command, slots.base) for slots in (kinds, levels))
    if kind is not None and kind.values[0] not in _COMPRESS:
        return None
    if level is not None and to.number(-7, 22)(level.values) is None:
        return None
    return tuple(one for one in (kind, level) if one is not None)


def _compression_words(room: str, found: tuple[Given, ...]) -> Iterator[Word]:
    for given in found:
        if given.rule.name == "compress-type":
            yield Word((room, "compression"), given.values[0], (given,))
        else:
            yield Word((room, "compression_level"), to.number(-7, 22)(given.values), (given,))


_SERVER: Mapping[str, tuple[Path, Convert]] = {
    "pg-path": (("data_directory",), to.path),
    "pg-port": (("port",), to.number(1, 65535)),
    "pg-socket-path": (("socket_directory",), to.path),
    "pg-user": (("user",), to.text),
    "pg-database": (("database",), to.text),
}
_REMOTE: Mapping[str, tuple[Path, Convert]] = {
    "-user": (("user",), to.account),
    "-port": (("port",), to.number(1, 65535)),
    "-type": (("transport",), to.choice({"ssh": "ssh", "tls": "tls"})),
    "-cmd": (("command",), to.text),
    "-config": (("config",), to.path),
}
_CERTIFICATES: Mapping[str, tuple[Path, Convert]] = {
    "-ca-file": (("tls", "ca_file"), to.path),
    "-ca-path": (("tls", "ca_path"), to.path),
    "-cert-file": (("tls", "cert_file"), to.path),
    "-key-file": (("tls", "key_file"), to.path),
}


def server_words(given: Iterable[Given], plain: frozenset[str]) -> Iterator[tuple[int, Word]]:
    """The words of each server, by its number: 1 is the primary; servers after a gap stay native."""
    by_name = {(one.rule.name, one.number): one for one in given if one.rule.group == "pg" and one.name not in plain}
    for number in range(1, 257):
        if ("pg-path", number) not in by_name:
            return
        own = {name: one for (name, key), one in by_name.items() if key == number}
        if to.path(own["pg-path"].values) is None:
            return
        for name, (where, convert) in _SERVER.items():
            if name in own and (value := convert(own[name].values)) is not None:
                yield number, Word(where, value, (own[name],))
        yield from ((number, Word(("ssh", *word.path), word.value, word.sources)) for word in remote_words("pg", own))


def remote_words(group: str, own: Mapping[str, Given]) -> Iterator[Word]:
    """How another host is reached; nothing where its address has no word."""
    address = own.get(f"{group}-host")
    if address is None or (value := to.host(address.values)) is None:
        return
    yield Word(("address",), value, (address,))
    transport = own.get(f"{group}-host-type")
    tables = (_REMOTE, _CERTIFICATES) if transport is not None and transport.values == ("tls",) else (_REMOTE,)
    for suffix, (where, convert) in (item for table in tables for item in table.items()):
        one = own.get(f"{group}-host{suffix}")
        if one is not None and (value := convert(one.values)) is not None:
            yield Word(where, value, (one,))
