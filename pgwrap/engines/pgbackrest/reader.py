"""pgBackRest's native files as pgBackRest itself reads them, for each stanza and each command. It opens no file."""

from __future__ import annotations

from collections.abc import Iterable

from pgwrap.domain.native import NativeFile, Reading, View
from pgwrap.engines.pgbackrest.cross_rules import between
from pgwrap.engines.pgbackrest.layers import GLOBAL, Findings, Layers
from pgwrap.engines.pgbackrest.native_lines import Lines, split, stanzas
from pgwrap.engines.pgbackrest.resolution import Resolution, named, resolve
from pgwrap.engines.pgbackrest.rules import Named, Rules, rules
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location, Problem

_FROM_THE_COMMAND_LINE = frozenset({"annotate"})
"""Commands that need what is said when they are called."""
_SERVERS = frozenset({"server", "server-ping"})
"""Commands of the TLS server: what they refuse stops no backup, so it is a remark."""
_CERTIFICATES = ("tls-server-auth", "tls-server-ca-file", "tls-server-cert-file", "tls-server-key-file")
_LONG = 200
"""Characters of a key that is worth looking up."""


def recognises(file: NativeFile) -> bool:
    """Whether the file has a section or an option that only pgBackRest has, wherever it stands."""
    known = rules(EngineVersion.parse("9999"))
    texts = (raw.strip().decode(errors="replace") for raw in file.content.split(b"\n"))
    return any(_is_ours(text, known) for text in texts if text and not text.startswith("#"))


def _is_ours(text: str, known: Rules) -> bool:
    if text.startswith("["):
        return text.strip("[]").partition(":")[0] == GLOBAL
    key, equals, _ = text.partition("=")
    return bool(equals) and "-" in key and len(key) < _LONG and isinstance(known.find(key.strip()), Named)


def read(files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
    """A view for each stanza and command, "" for what is asked without a stanza; raises nothing."""
    lines = split(in_order(files))
    known = rules(version)
    layers = Layers(lines, known)
    _sections(lines, layers, known)
    server = Findings()
    views = tuple(
        _view(_resolution(layers, lines, subject, command, server if command in _SERVERS else layers.findings))
        for subject in ("", *stanzas(lines))
        for command in known.commands
        if subject or _goes_without(known, command)
    )
    for problem in server.refusals.values():
        if problem not in layers.findings.refusals.values():
            layers.findings.remark(f"{problem.message}: the TLS server refuses it", problem.location, problem.path)
    return Reading(
        views=views,
        refusals=(*lines.refusals, *_in_file_order(layers.findings.refusals.values(), files)),
        remarks=_in_file_order(layers.findings.remarks.values(), files),
    )


def _view(resolution: Resolution) -> View:
    between(resolve(resolution))
    return View(subject=resolution.stanza, command=resolution.command, options=named(resolution))


def in_order(files: tuple[NativeFile, ...]) -> tuple[NativeFile, ...]:
    """The main file first, then the included ones by name, as pgBackRest joins them."""
    main = tuple(file for file in files if file.role != "include")
    return (*main, *sorted((file for file in files if file.role == "include"), key=lambda file: file.path))


def _goes_without(known: Rules, command: str) -> bool:
    """Whether the command can be called without a stanza; `check` then reads each stanza in turn (2.48)."""
    stanza = known.options["stanza"]
    return command != "check" and (command not in stanza.commands or not stanza.for_command(command).required)


def _resolution(layers: Layers, lines: Lines, subject: str, command: str, findings: Findings) -> Resolution:
    header = lines.header(subject) if subject else None
    first = lines.headers[0].place if lines.headers else None
    return Resolution(
        rules=layers.rules,
        command=command,
        stanza=subject,
        place=header.place if header else first,
        given=layers.effective(subject, command),
        findings=findings,
        demanding=_is_demanding(layers, command),
    )


def _is_demanding(layers: Layers, command: str) -> bool:
    """Files that say nothing of the TLS server's certificates are not those of one."""
    if command in _SERVERS:
        sections = (GLOBAL, f"{GLOBAL}:{command}")
        return any(given.name in _CERTIFICATES for name in sections for given in layers.section(name))
    return command not in _FROM_THE_COMMAND_LINE


def _sections(lines: Lines, layers: Layers, known: Rules) -> None:
    """Sections that no command ever reads."""
    for header in lines.headers:
        name, colon, command = header.section.partition(":")
        if header.section != header.section.strip() or name != name.strip():
            message = "spaces belong to a section's name: no stanza is called so, and this one is left out"
            layers.findings.remark(message, header.place, header.section)
        elif colon and command not in known.commands:
            message = "pgBackRest has no such command and ignores the section"
            layers.findings.remark(message, header.place, header.section)


def _in_file_order(problems: Iterable[Problem], files: tuple[NativeFile, ...]) -> tuple[Problem, ...]:
    ranks = {file.path: rank for rank, file in enumerate(files)}

    def place(problem: Problem) -> tuple[int, int, int]:
        location = problem.location or Location("", 0, 0)
        return ranks.get(location.file, -1), location.line, location.column

    return tuple(sorted(problems, key=place))
