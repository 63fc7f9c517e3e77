"""pgbackrest.conf from the spec: the settings of its documents laid out. It decides no setting, and writes no file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from pgwrap.domain.plan import WriteFile
from pgwrap.engines.pgbackrest.document import Document, documents
from pgwrap.engines.pgbackrest.options import find
from pgwrap.engines.pgbackrest.postgres import settings_for
from pgwrap.engines.pgbackrest.settings import Setting, stanza_fault, unsafe
from pgwrap.engines.port import Rendered, RenderedFile, RenderRequest
from pgwrap.errors import Problem, SpecError
from pgwrap.records import dataclass
from pgwrap.text import templating

_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the file: its name and its lines, `key=value`."""

    name: str
    lines: tuple[str, ...]


def render(request: RenderRequest) -> Rendered:
    """The native files and PostgreSQL settings; raises SpecError for a value that could not be read back as meant."""
    found = documents(request)
    problems = tuple(dict.fromkeys(problem for document in found for problem in _problems(document)))
    if problems:
        raise SpecError(problems)
    return Rendered(
        files=tuple(_file(request, document) for document in found),
        settings=tuple(settings_for(cluster, request.version) for cluster in request.clusters),
    )


def _problems(document: Document) -> Iterable[Problem]:
    for cluster, _ in document.stanzas:
        fault = stanza_fault(cluster.engine_name)
        if fault is not None:
            yield Problem(message=fault, path=".".join((*cluster.spec_path, "engine_name")))
    for setting in document.settings():
        problem = unsafe(setting)
        if problem is not None:
            yield problem


def _file(request: RenderRequest, document: Document) -> RenderedFile:
    sections = _sections(document)
    text = templating.render(
        "pgbackrest.conf.j2",
        {
            "spec_file": _one_line(request.spec_file),
            "subject": _one_line(document.subject),
            "digest": _digest(document),
            "notes": document.notes,
            "sections": sections,
        },
    )
    owners = {cluster.run_as for cluster, _ in document.stanzas}
    owner = owners.pop() if len(owners) == 1 else None
    secrets = {value for setting in document.settings() if _is_secret(setting) for value in setting.values}
    return RenderedFile(
        write=WriteFile(
            path=document.path,
            text=text,
            mode=0o644 if owner is None and not secrets else 0o640,  # its readers are not known, or several
            owner=owner,
            secrets=tuple(sorted(secrets)),
        ),
        clusters=tuple(sorted(cluster.name for cluster, _ in document.stanzas)),
    )


def _is_secret(setting: Setting) -> bool:
    """Told by reference, or a native option that pgBackRest itself keeps out of its logs."""
    option = find(setting.key) if setting.native else None
    return setting.secret or (option is not None and option.secure)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _sections(document: Document) -> tuple[Section, ...]:
    found = [*_by_command("global", document.common)]
    for cluster, settings in document.stanzas:
        found.extend(_by_command(cluster.engine_name, settings))
    return tuple(found)


def _by_command(name: str, settings: tuple[Setting, ...]) -> Iterable[Section]:
    commands = sorted({setting.command or "" for setting in settings})
    for command in commands:
        chosen = (setting for setting in settings if (setting.command or "") == command)
        yield Section(
            name=f"{name}:{command}" if command else name,
            lines=tuple(
                f"{setting.key}={value}" for setting in sorted(chosen, key=_natural) for value in setting.values
            ),
        )


def _natural(setting: Setting) -> tuple[tuple[int, str], ...]:
    """Numbers by their size, so that repo2 comes before repo10."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in _NUMBERS.split(setting.key))


def _digest(document: Document) -> str:
    """Sixteen hexadecimal digits over all that the file says save its secrets, whose hash could be guessed at."""
    digest = hashlib.sha256()
    for section in (("global", document.common), *((one.engine_name, found) for one, found in document.stanzas)):
        digest.update(f"[{section[0]}]\n".encode())
        for setting in sorted(section[1], key=lambda one: (one.command or "", one.key)):
            values = ("secret",) if _is_secret(setting) else setting.values
            digest.update(repr((setting.command, setting.key, values)).encode())
    return digest.hexdigest()[:16]
