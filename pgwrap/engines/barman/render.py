"""Barman's native files from the spec: the main file, and one per server. What Barman cannot do is review.py's to say.

The files are Barman's own: they work without pgwrap, and an edit in them is drift.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pgwrap.domain.model import Cluster, EngineInstance, Path, Secret
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.barman.options import options
from pgwrap.engines.barman.review import review, review_together
from pgwrap.engines.barman.settings import settings
from pgwrap.engines.barman.values import file_name, name_problem, option_line, refused, value_problem
from pgwrap.engines.barman.words import (
    SecretReader,
    Setting,
    global_settings,
    model_settings,
    owner,
    server_settings,
)
from pgwrap.engines.port import EngineVersion, Rendered, RenderedFile, RenderRequest
from pgwrap.records import dataclass
from pgwrap.text.templating import render as lay_out

_MODE: Final = 0o640


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A model's section, as its template wants it."""

    name: str
    lines: tuple[str, ...]


def render(request: RenderRequest) -> Rendered:
    """The main file and one file for each server, in the order of the spec; SpecError for unsafe values."""
    return Rendered(
        files=(_main_file(request), *(_server_file(request, cluster) for cluster in request.clusters)),
        settings=tuple(settings(cluster, request.version) for cluster in request.clusters),
        remarks=(
            *(remark for cluster in request.clusters for remark in review(cluster, request.version)),
            *review_together(request.clusters, request.version),
        ),
    )


def server_file(instance: EngineInstance, server: str) -> str:
    """The path of one server's file."""
    directory = instance.include or "/etc/barman.d"
    return f"{directory.rstrip('/')}/{file_name(server)}"


def _main_file(request: RenderRequest) -> RenderedFile:
    instance = request.instance
    found = global_settings(instance)
    lines = _lines(found, ("engines", instance.name), request.version)
    text = lay_out("barman.conf.j2", {"header": _header(request, f"engine {instance.name}", found), "lines": lines})
    write = WriteFile(path=instance.config, text=text, mode=_MODE, owner=owner(instance))
    return RenderedFile(write=write, clusters=tuple(cluster.name for cluster in request.clusters))


def _server_file(request: RenderRequest, cluster: Cluster) -> RenderedFile:
    problem = name_problem(cluster.engine_name)
    if problem is not None:
        raise refused((*cluster.spec_path, "engine_name"), problem)
    revealed: list[str] = []

    def reveal(secret: Secret) -> str:
        revealed.append(request.secret(secret))
        if len(revealed[-1].split()) != 1:
            # barman/postgres.py, parse_dsn: it splits at spaces, quoted or not, and would disable the server.
            raise refused(cluster.spec_path, "the password holds a space, which Barman's connection strings cannot")
        return revealed[-1]

    lines = _lines(server_settings(cluster, request.version, reveal), cluster.spec_path, request.version)
    models = _models(request, cluster, reveal)
    header = _header(request, f"cluster {cluster.name}", _said(cluster, request.version))
    values = {"header": header, "name": cluster.engine_name, "lines": lines, "models": models}
    write = WriteFile(
        path=server_file(request.instance, cluster.engine_name),
        text=lay_out("barman-server.conf.j2", values),
        mode=_MODE,
        owner=owner(request.instance),
        secrets=tuple(revealed),
    )
    return RenderedFile(write=write, clusters=(cluster.name,))


def _models(request: RenderRequest, cluster: Cluster, secret: SecretReader) -> tuple[_Section, ...]:
    if request.version < options()["model"].since:
        return ()
    sections = []
    for model in cluster.models:
        problem = name_problem(model.name)
        if problem is not None:
            raise refused((*cluster.spec_path, "models", model.name), problem)
        lines = _lines(model_settings(cluster, model, secret), cluster.spec_path, request.version)
        sections.append(_Section(name=model.name, lines=lines))
    return tuple(sections)


def _said(cluster: Cluster, version: EngineVersion) -> tuple[Setting, ...]:
    """What the spec says for one file, secrets masked: a digest of it tells nothing about them."""
    models = (model_settings(cluster, model, _masked) for model in cluster.models)
    return (*server_settings(cluster, version, _masked), *(setting for model in models for setting in model))


def _masked(_: Secret) -> str:
    return "*"


def _lines(found: tuple[Setting, ...], base: Path, version: EngineVersion) -> tuple[str, ...]:
    return tuple(
        option_line(setting.key, setting.value, version, (*base, *setting.word))
        for setting in found
        if _known(setting, version)
    )


def _known(setting: Setting, version: EngineVersion) -> bool:
    """Whether this version has what a word became; native options are the author's own to answer for."""
    if setting.word[-2:-1] in (("barman",), ("options",)):
        return True
    option = options().get(setting.key)
    if option is None or option.since > version:
        return False
    accepted = option.accepts(version)
    return not accepted or setting.value in accepted or "<int>" in accepted


def _header(request: RenderRequest, subject: str, said: tuple[Setting, ...]) -> str:
    for place in (request.spec_file, subject):
        problem = value_problem(place)
        if problem is not None:
            raise refused((), problem)
    content = repr((subject, tuple((setting.key, setting.value) for setting in said)))
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return "\n".join(
        (
            f"# Made by pgwrap from {request.spec_file}, {subject}.",
            "# Change the spec instead: edits here are drift.",
            f"# spec sha256: {digest}",
        )
    )
