"""pgBackRest's native files as pgBackRest itself reads them, for each stanza and each command. It opens no file."""

from __future__ import annotations

from collections.abc import Iterable

from pgwrap.domain.native import NativeFile, Reading, View
from pgwrap.engines.pgbackrest.cross_rules import between
from pgwrap.engines.pgbackrest.layers import GLOBAL, Layers
from pgwrap.engines.pgbackrest.native_lines import Lines, split, stanzas
from pgwrap.engines.pgbackrest.resolution import Resolution, named, resolve
from pgwrap.engines.pgbackrest.rules import Rules, rules
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location, Problem

_FROM_THE_COMMAND_LINE = frozenset({"annotate"})
"""Commands that need what is said when they are called."""
_SERVER = "server"


def recognises(file: NativeFile) -> bool:
    """Whether the file has a section or an option that only pgBackRest has."""
    lines = split((file,))
    known = rules(EngineVersion.parse("9999"))
    if any(header.section.partition(":")[0] == GLOBAL for header in lines.headers):
        return True
    return any("-" in line.key and known.find(line.key) is not None for line in lines.lines)


def read(files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
    """A view for each stanza and command, "" for what is asked without a stanza; raises nothing."""
    lines = split(in_order(files))
    known = rules(version)
    layers = Layers(lines, known)
    _sections(lines, layers, known)
    views = tuple(
        _view(_resolution(layers, lines, subject, command))
        for subject in ("", *stanzas(lines))
        for command in known.commands
        if subject or _goes_without(known, command)
    )
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


def _resolution(layers: Layers, lines: Lines, subject: str, command: str) -> Resolution:
    header = lines.header(subject) if subject else None
    first = lines.headers[0].place if lines.headers else None
    return Resolution(
        rules=layers.rules,
        command=command,
        stanza=subject,
        place=header.place if header else first,
        given=layers.effective(subject, command),
        findings=layers.findings,
        demanding=_is_demanding(layers, command),
    )


def _is_demanding(layers: Layers, command: str) -> bool:
    """Files that say nothing of the TLS server are not those of one."""
    if command == _SERVER:
        sections = (GLOBAL, f"{GLOBAL}:{_SERVER}")
        return any(given.name.startswith("tls-server-") for name in sections for given in layers.section(name))
    return command not in _FROM_THE_COMMAND_LINE


def _sections(lines: Lines, layers: Layers, known: Rules) -> None:
    """Sections that no command ever reads."""
    for header in lines.headers:
        name, colon, command = header.section.partition(":")
        if header.section != header.section.strip() or name != name.strip():
            message = "spaces belong to a section's name: this one is read only for a stanza named with them"
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
