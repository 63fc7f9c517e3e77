"""From validated words to the fleet: defaults of the engines, names that refer to names, and what must be unique.

It reads no file and judges no single value; what an engine's version can do is the engine's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import NamedTuple

from pydantic import BaseModel

from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, NativeOption, Path, Repository, RetentionPolicy
from pgwrap.errors import Problem
from pgwrap.records import dataclass
from pgwrap.spec import convert
from pgwrap.spec.merge import Tree
from pgwrap.spec.problems import did_you_mean, dotted
from pgwrap.spec.schema import ClusterWords, EngineWords, RepositoryWords, SecretForm, SpecWords

_STORE_WORDS = {
    "posix": frozenset[str](),
    "cifs": frozenset[str](),
    "s3": frozenset({"bucket", "endpoint", "region", "key_type", "uri_style", "verify_tls", "port", "ca_file"}),
    "gcs": frozenset({"bucket", "endpoint", "key_type", "verify_tls", "port", "ca_file"}),
    "azure": frozenset({"container", "account", "endpoint", "key_type", "uri_style", "verify_tls", "port", "ca_file"}),
    "sftp": frozenset(
        {
            "sftp_host",
            "sftp_user",
            "sftp_port",
            "private_key_file",
            "public_key_file",
            "host_key_hash",
            "host_fingerprint",
        }
    ),
}
"""Words that belong to some types of repository only."""
_STORE_NEEDS = {
    "posix": ("path",),
    "cifs": ("path",),
    "s3": ("bucket",),
    "gcs": ("bucket",),
    "azure": ("container", "account"),
    "sftp": ("path", "sftp_host", "sftp_user"),
}
_KEY_TYPES = {
    "s3": ("shared", "auto", "web-id", "pod-id", "process"),
    "gcs": ("service", "token", "auto", "web-id"),
    "azure": ("shared", "sas", "auto"),
}


_CREDENTIALS = {
    "s3": frozenset({"key", "secret", "token", "customer_key"}),
    "gcs": frozenset({"key"}),
    "azure": frozenset({"key"}),
    "sftp": frozenset({"passphrase"}),
}
"""Credentials that a type of repository asks for."""


class Built(NamedTuple):
    """What the fleet is made of."""

    clusters: tuple[Cluster, ...]
    engines: tuple[EngineInstance, ...]


@dataclass(slots=True)
class Report:
    """Collects problems. An entry that is already known to be wrong gets no further ones that may follow from it."""

    tree: Tree
    spoiled: frozenset[Path] = frozenset()
    """The first two parts of every path that did not validate."""
    problems: list[Problem] = field(default_factory=list)

    def error(self, path: Path, message: str, hint: str = "") -> None:
        """Something that stops the command."""
        if path[:2] not in self.spoiled:
            self.certain(path, message, hint)

    def certain(self, path: Path, message: str, hint: str = "", severity: str = "error") -> None:
        """Something that is wrong whatever else is."""
        self.problems.append(
            Problem(message=message, hint=hint, severity=severity, location=self.tree.nearest(path), path=dotted(path))
        )


def build(spec: SpecWords, report: Report) -> Built:
    """The clusters and engines of the spec; what is wrong with them goes to `report`."""
    engines = _engines(spec.engines or {}, report)
    repositories = {name: _repository(name, words, report) for name, words in (spec.repositories or {}).items()}
    clusters = _clusters(spec.clusters or {}, engines, repositories, report)
    _unique_engine_names(clusters, report)
    _successors(clusters, report)
    used = tuple(
        instance
        for name, instance in engines.items()
        if name in (spec.engines or {}) or any(cluster.engine == instance for cluster in clusters)
    )
    _separate_files(clusters, report)
    report.problems.extend(_literal_secrets(spec, report.tree))
    return Built(clusters, used)


def _engines(words: Mapping[str, EngineWords], report: Report) -> dict[str, EngineInstance]:
    names = dict.fromkeys((*(kind.value for kind in EngineKind), *words))
    found = {name: _engine(name, words.get(name, EngineWords.model_construct()), report) for name in names}
    return {name: engine for name, engine in found.items() if engine is not None}


def _engine(name: str, words: EngineWords, report: Report) -> EngineInstance | None:
    kind = _engine_kind(name, words, report)
    if kind is EngineKind.PGBACKREST:
        return _pgbackrest(name, words, report)
    return _barman(name, words, report) if kind else None


def _engine_kind(name: str, words: EngineWords, report: Report) -> EngineKind | None:
    path = ("engines", name)
    stated = EngineKind(words.engine) if words.engine else None
    if name not in set(EngineKind):
        if stated is None:
            report.error(path, "does not say which engine it is", "add engine: pgbackrest or engine: barman")
        return stated
    if stated not in {None, EngineKind(name)}:
        report.error((*path, "engine"), f"the entry {name!r} is always {name}", "give the entry another name")
    return EngineKind(name)


def _pgbackrest(name: str, words: EngineWords, report: Report) -> EngineInstance:
    for word, hint in (("servers", "write include"), ("home", "pgBackRest has none")):
        if getattr(words, word) is not None:
            report.error(("engines", name, word), "is a word for Barman", hint)
    return EngineInstance(
        name=name,
        kind=EngineKind.PGBACKREST,
        command=words.command or "pgbackrest",
        config=words.config or "/etc/pgbackrest/pgbackrest.conf",
        include=words.include,
        host=words.host,
        run_as=words.run_as,
        log_directory=words.log_directory,
        lock_directory=words.lock_directory,
        options=convert.sectioned_options(words.options),
    )


def _barman(name: str, words: EngineWords, report: Report) -> EngineInstance:
    path = ("engines", name)
    if words.include is not None:
        report.error((*path, "include"), "is a word for pgBackRest", "write servers")
    _no_sections((*path, "options"), words.options or {}, report)
    return EngineInstance(
        name=name,
        kind=EngineKind.BARMAN,
        command=words.command or "barman",
        config=words.config or "/etc/barman.conf",
        include=words.servers or "/etc/barman.d",
        home=words.home or "/var/lib/barman",
        host=words.host,
        run_as=words.run_as,
        log_directory=words.log_directory,
        lock_directory=words.lock_directory,
        options=convert.sectioned_options(words.options),
    )


def _no_sections(path: Path, options: Mapping[str, object], report: Report) -> None:
    for key, value in options.items():
        if isinstance(value, dict):
            report.error((*path, key), "Barman has no command sections", "write the option's value")


def _repository(name: str, words: RepositoryWords, report: Report) -> Repository:
    kind = words.type or "posix"
    path = ("repositories", name)
    stated = {word for word in RepositoryWords.model_fields if getattr(words, word) is not None}
    for need in _STORE_NEEDS[kind]:
        if need not in stated:
            report.error(path, f"a repository of type {kind} needs {need!r}")
    for word in sorted(stated & (frozenset[str]().union(*_STORE_WORDS.values()) - _STORE_WORDS[kind])):
        report.error((*path, word), f"does not belong to a repository of type {kind}", _type_hint(word))
    for credential, _ in convert.credentials(words.credentials):
        if credential not in _CREDENTIALS.get(kind, frozenset()):
            report.error((*path, "credentials", credential), f"does not belong to a repository of type {kind}")
    known = _KEY_TYPES.get(kind, ())
    if words.key_type is not None and known and words.key_type not in known:
        report.error((*path, "key_type"), f"{words.key_type!r} is no key type of {kind}", f"known: {', '.join(known)}")
    return convert.repository(name, words)


def _type_hint(word: str) -> str:
    kinds = [kind for kind, words in _STORE_WORDS.items() if word in words]
    return f"it goes with type: {' or '.join(kinds)}"


def _clusters(
    words: Mapping[str, ClusterWords],
    engines: Mapping[str, EngineInstance],
    repositories: Mapping[str, Repository],
    report: Report,
) -> tuple[Cluster, ...]:
    found = []
    for name, cluster in words.items():
        engine = _engine_of(name, cluster, engines, report)
        chosen = _repositories_of(name, cluster, repositories, report)
        if engine is not None:
            found.append(_cluster(name, cluster, engine, chosen))
            _check_cluster(found[-1], cluster, report)
    return tuple(found)


def _engine_of(
    name: str, words: ClusterWords, engines: Mapping[str, EngineInstance], report: Report
) -> EngineInstance | None:
    wanted = words.engine or EngineKind.PGBACKREST.value
    engine = engines.get(wanted)
    if engine is None and ("engines", wanted) not in report.tree.values:
        report.certain(("clusters", name, "engine"), f"no engine is called {wanted!r}", did_you_mean(wanted, engines))
    return engine


def _repositories_of(
    name: str, words: ClusterWords, repositories: Mapping[str, Repository], report: Report
) -> tuple[Repository, ...]:
    path = ("clusters", name, "repositories")
    wanted = words.repositories or ()
    for index, repository in enumerate(wanted):
        place = (*path, str(index))
        if repository in wanted[:index]:
            report.certain(place, f"{repository!r} is listed twice")
        elif repository not in repositories and ("repositories", repository) not in report.tree.values:
            hint = did_you_mean(repository, repositories) or "describe it under repositories:"
            report.certain(place, f"no repository is called {repository!r}", hint)
    return tuple(repositories[name] for name in dict.fromkeys(wanted) if name in repositories)


def _cluster(name: str, words: ClusterWords, engine: EngineInstance, repositories: tuple[Repository, ...]) -> Cluster:
    return Cluster(
        name=name,
        engine=engine,
        engine_name=words.engine_name or name,
        description=words.description,
        run_as=words.run_as,
        active=words.active is not False,
        postgres=convert.postgres(words.postgres),
        standbys=tuple(convert.postgres(standby) for standby in words.standbys or ()),
        repositories=repositories,
        backup=convert.backup(words.backup),
        wal=convert.wal(words.wal),
        retention=convert.retention(words.retention) or RetentionPolicy(deliberate=False),
        schedule=convert.schedule(words.schedule),
        drill=convert.drill(words.drill),
        objectives=convert.objectives(words.objectives),
        hooks=convert.hooks(words.hooks),
        models=convert.models(words.models),
        passive=convert.remote_host(words.passive),
        replaces=words.replaces,
        history=words.history,
        options=_options_of(words, engine.kind),
    )


def _options_of(words: ClusterWords, kind: EngineKind) -> tuple[NativeOption, ...]:
    if words.options is None:
        return ()
    if kind is EngineKind.PGBACKREST:
        return convert.sectioned_options(words.options.pgbackrest)
    return convert.options(words.options.barman)


def _check_cluster(cluster: Cluster, words: ClusterWords, report: Report) -> None:
    fault = _engine_name_fault(cluster)
    if fault is not None:
        word = ("engine_name",) if words.engine_name else ()
        hint = "" if words.engine_name else "say engine_name: with another name"
        report.error((*cluster.spec_path, *word), fault, hint)
    if cluster.engine.kind is EngineKind.BARMAN and len(cluster.repositories) > 1:
        path = (*cluster.spec_path, "repositories")
        report.error(path, "Barman keeps a server in one repository", "keep one")
    _unique_keys(cluster, report)
    _check_history(cluster, report)


def _check_history(cluster: Cluster, report: Report) -> None:
    if cluster.history is None:
        return
    path = (*cluster.spec_path, "history")
    if cluster.engine.kind is EngineKind.BARMAN:
        report.error(path, "is a word for pgBackRest", "Barman keeps what is carried over among its own backups")
    elif cluster.history == "global" or ":" in cluster.history:
        report.error(path, f"pgBackRest would take {cluster.history!r} for another section than a stanza's")


def _successors(clusters: Iterable[Cluster], report: Report) -> None:
    """A cluster replaces one of another engine, which replaces none itself, and is replaced once."""
    known = {cluster.name: cluster for cluster in clusters}
    first: dict[str, str] = {}
    for cluster in known.values():
        if cluster.replaces is None:
            continue
        path = (*cluster.spec_path, "replaces")
        old = known.get(cluster.replaces)
        if old is None:
            hint = did_you_mean(cluster.replaces, known) or "describe the cluster as it is backed up now as an entry"
            report.error(path, f"no cluster is called {cluster.replaces!r}", hint)
        elif old.engine.kind is cluster.engine.kind:
            report.error(path, f"{old.name!r} has the same engine", "only a change between the engines is a migration")
        elif old.replaces is not None:
            report.error(path, f"{old.name!r} itself replaces {old.replaces!r}", "finish one migration before the next")
        elif first.setdefault(old.name, cluster.name) != cluster.name:
            report.error(path, f"{old.name!r} is already replaced by {first[old.name]!r}", "name it once")


def _engine_name_fault(cluster: Cluster) -> str | None:
    name = cluster.engine_name
    if cluster.engine.kind is EngineKind.BARMAN:
        return f"Barman keeps the name {name!r} for itself" if name in {"all", "barman"} else None
    if name == "global" or ":" in name:
        return f"pgBackRest would take {name!r} for another section than a stanza's"
    return None


def _unique_keys(cluster: Cluster, report: Report) -> None:
    first: dict[int, str] = {}
    for index, repository in enumerate(cluster.repositories):
        if repository.key is None:
            continue
        known = first.setdefault(repository.key, repository.name)
        if known != repository.name:
            message = f"{known!r} and {repository.name!r} both have the key {repository.key}"
            report.error((*cluster.spec_path, "repositories", str(index)), message, "give one of them another key")


def _unique_engine_names(clusters: Iterable[Cluster], report: Report) -> None:
    first: dict[tuple[str, str], Cluster] = {}
    for cluster in clusters:
        known = first.setdefault((cluster.engine.name, cluster.engine_name), cluster)
        if known is not cluster:
            noun = "server" if cluster.engine.kind is EngineKind.BARMAN else "stanza"
            message = f"the {noun} {cluster.engine_name!r} already belongs to the cluster {known.name!r}"
            path = (*cluster.spec_path, "engine_name")
            report.error(path, message, "give one of them another engine_name")
    for cluster in clusters:
        if cluster.history is None:
            continue
        if first.setdefault((cluster.engine.name, cluster.history), cluster) is not cluster or _is_own(cluster):
            message = f"the stanza {cluster.history!r} already has another use"
            report.error((*cluster.spec_path, "history"), message, f"such as {cluster.engine_name}-history")


def _is_own(cluster: Cluster) -> bool:
    return cluster.history == cluster.engine_name


def _separate_files(clusters: Iterable[Cluster], report: Report) -> None:
    first: dict[tuple[str | None, str], str] = {}
    for engine in dict.fromkeys(cluster.engine for cluster in clusters):
        for place in (engine.config, engine.include):
            known = first.setdefault((engine.host, place), engine.name) if place else engine.name
            if known != engine.name:
                path = ("engines", engine.name, "config")
                report.error(path, f"{known!r} and {engine.name!r} would both write to {place}", "keep them apart")


def _literal_secrets(spec: BaseModel, tree: Tree) -> Iterator[Problem]:
    for path in _literals_in(spec, ()):
        yield Problem(
            message="the secret itself stands in the spec",
            hint="write {file: PATH}, {env: NAME}, {credential: NAME} or {command: [PROGRAM]}",
            severity="warning",
            location=tree.nearest(path),
            path=dotted(path),
        )


def _literals_in(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, SecretForm):
        if value.literal is not None:
            yield path
        return
    for name, inner in _inside(value):
        yield from _literals_in(inner, (*path, name))


def _inside(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield info.alias or name, getattr(value, name)
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, tuple):
        yield from ((str(index), item) for index, item in enumerate(value))
