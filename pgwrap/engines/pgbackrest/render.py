"""pgbackrest.conf from the spec: which setting stands in which section of which file. It writes nothing to disk.

One file holds the installation: what all clusters share stands in [global], the rest in each stanza. Where both the
database and a repository live on hosts of their own, the database's host gets a second file.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.pgbackrest.options import find
from pgwrap.engines.pgbackrest.postgres import settings_for
from pgwrap.engines.pgbackrest.repository import host_settings, policy_settings, store_settings
from pgwrap.engines.pgbackrest.settings import Setting, overriding, stanza_fault, unsafe
from pgwrap.engines.pgbackrest.sharing import repositories_are_shared
from pgwrap.engines.pgbackrest.stanza import Side, instance_settings, stanza_settings
from pgwrap.engines.port import EngineVersion, Rendered, RenderedFile, RenderRequest
from pgwrap.errors import Problem, SpecError
from pgwrap.text import templating

_NUMBERS = re.compile(r"(\d+)")
_DATABASE_NOTES = (
    "For the database's own host, in place of its pgbackrest.conf: repositories on other hosts are opened there,",
    "so neither their credentials nor their passphrases are needed here. It serves a standby with the same data",
    "directory, too.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the file: its name and its lines, `key=value`."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The settings of one file before they are laid out."""

    path: str
    subject: str
    common: tuple[Setting, ...]
    stanzas: tuple[tuple[Cluster, tuple[Setting, ...]], ...]
    notes: tuple[str, ...] = ()

    def settings(self) -> Iterable[Setting]:
        yield from self.common
        for _, settings in self.stanzas:
            yield from settings


def render(request: RenderRequest) -> Rendered:
    """The native files and PostgreSQL settings; raises SpecError for a value that could not be read back as meant."""
    documents = (_main(request), *_database_hosts(request))
    problems = tuple(dict.fromkeys(problem for document in documents for problem in _problems(document)))
    if problems:
        raise SpecError(problems)
    return Rendered(
        files=tuple(_file(request, document) for document in documents),
        settings=tuple(settings_for(cluster, request.version) for cluster in request.clusters),
    )


def _main(request: RenderRequest) -> _Document:
    repositories = {cluster.name: _repositories(request, cluster, "here") for cluster in request.clusters}
    shared = repositories_are_shared(request.clusters)
    common = _common(tuple(repositories.values())) if shared else ()
    stanzas = tuple(
        (
            cluster,
            overriding(
                (
                    *(setting for setting in repositories[cluster.name] if not _says(common, setting)),
                    *stanza_settings(cluster),
                )
            ),
        )
        for cluster in sorted(request.clusters, key=lambda one: one.engine_name)
    )
    return _Document(
        path=request.instance.config,
        subject=f"engine {request.instance.name}",
        common=overriding((*common, *instance_settings(request.instance))),
        stanzas=stanzas,
    )


def effective_settings(
    cluster: Cluster, installation: tuple[Cluster, ...], version: EngineVersion, command: str
) -> Mapping[str, str]:
    """What pgBackRest would read for `command` of one cluster from the file as rendered, secrets left out.

    A command's section of the stanza wins over the stanza's, that over the command's global one, that over [global]
    (src/config/parse.c). A list keeps its last value. The other clusters of the installation matter only where it has
    native options of its own: what all clusters say alike stands in [global] beside them.
    """
    clusters = installation if cluster.engine.options and cluster in installation else (cluster,)
    request = RenderRequest(
        instance=cluster.engine, clusters=clusters, version=version, secret=lambda _: "secret", spec_file=""
    )
    document = _main(request)
    (stanza,) = (settings for one, settings in document.stanzas if one == cluster)
    return {
        one.key: one.values[-1]
        for settings in (document.common, stanza)
        for section in (None, command)
        for one in settings
        if one.command == section and not one.secret
    }


def _repositories(request: RenderRequest, cluster: Cluster, side: Side) -> tuple[Setting, ...]:
    """The `repoN-` settings of one cluster: a repository on another host is opened there, by that host's own file."""
    found: list[Setting] = []
    for key, repository in cluster.keyed_repositories():
        remote = repository.host is not None and (side == "database" or not is_split(cluster))
        if remote:
            found.extend(host_settings(key, repository, request.instance))
        else:
            found.extend(store_settings(key, repository, request.secret, request.version))
        found.extend(policy_settings(cluster, key, repository, request.version))
    return overriding(found)


def is_split(cluster: Cluster) -> bool:
    """Whether database and repository have hosts of their own, so that each side needs a file of its own."""
    return cluster.postgres.ssh is not None and any(one.host is not None for one in cluster.repositories)


def _common(repositories: tuple[tuple[Setting, ...], ...]) -> tuple[Setting, ...]:
    """The settings that every cluster says alike."""
    first, *others = repositories
    return tuple(setting for setting in first if all(_says(other, setting) for other in others))


def _says(settings: Iterable[Setting], wanted: Setting) -> bool:
    return any(
        (setting.key, setting.command, setting.values) == (wanted.key, wanted.command, wanted.values)
        for setting in settings
    )


def _database_hosts(request: RenderRequest) -> Iterable[_Document]:
    directory = posixpath.join(posixpath.dirname(request.instance.config), "postgres-hosts")
    for cluster in sorted(request.clusters, key=lambda one: one.engine_name):
        if is_split(cluster) and stanza_fault(cluster.engine_name) is None:
            yield _Document(
                path=posixpath.join(directory, cluster.engine_name, "pgbackrest.conf"),
                subject=f"engine {request.instance.name}, stanza {cluster.engine_name}",
                common=overriding((*_repositories(request, cluster, "database"), *instance_settings(request.instance))),
                stanzas=((cluster, overriding(stanza_settings(cluster, "database"))),),
                notes=_DATABASE_NOTES,
            )


def _problems(document: _Document) -> Iterable[Problem]:
    for cluster, _ in document.stanzas:
        fault = stanza_fault(cluster.engine_name)
        if fault is not None:
            yield Problem(message=fault, path=".".join((*cluster.spec_path, "engine_name")))
    for setting in document.settings():
        problem = unsafe(setting)
        if problem is not None:
            yield problem


def _file(request: RenderRequest, document: _Document) -> RenderedFile:
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
    secrets = {value for setting in document.settings() if _is_secret(setting) for value in setting.values}
    return RenderedFile(
        write=WriteFile(
            path=document.path,
            text=text,
            mode=0o640,
            owner=owners.pop() if len(owners) == 1 else None,
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


def _sections(document: _Document) -> tuple[Section, ...]:
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


def _digest(document: _Document) -> str:
    """Sixteen hexadecimal digits over all that the file says save its secrets, whose hash could be guessed at."""
    digest = hashlib.sha256()
    for section in (("global", document.common), *((one.engine_name, found) for one, found in document.stanzas)):
        digest.update(f"[{section[0]}]\n".encode())
        for setting in sorted(section[1], key=lambda one: (one.command or "", one.key)):
            values = ("secret",) if _is_secret(setting) else setting.values
            digest.update(repr((setting.command, setting.key, values)).encode())
    return digest.hexdigest()[:16]
