"""Barman's files as a spec: drafted in words, rendered, read again, and what differs then said as native options.

It writes nothing. What neither words nor native options can say becomes a notice, and a difference of the proof.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from pgwrap.domain.adoption import Adoption, Words
from pgwrap.domain.model import BarmanModel, Cluster, EngineInstance, NativeOption, Path, Repository, Secret
from pgwrap.domain.native import Effective, NativeFile, Reading, View
from pgwrap.engines.barman import conninfo, draft
from pgwrap.engines.barman.draft import SPACES_ALIKE, Said
from pgwrap.engines.barman.ini import comments_above
from pgwrap.engines.barman.installation import ACTIVE_MODEL, install
from pgwrap.engines.barman.options import options
from pgwrap.engines.barman.reading import MODEL_PREFIX, read
from pgwrap.engines.barman.render import render, server_file
from pgwrap.engines.barman.spelling import cluster_secrets, cluster_words, engine_words, repository_words
from pgwrap.engines.barman.values import name_problem, value_problem
from pgwrap.engines.barman.words import Setting, global_settings, model_settings, server_settings
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

_ROUNDS: Final = 6
"""A native option can change what others mean (a method, a directory); no chain is longer."""


def adopt(files: tuple[NativeFile, ...], version: EngineVersion, name: str) -> Adoption:
    """Everything that the files mean, as the installation `name`; for files that `read` does not refuse."""
    return _Adopter(files=files, version=version, name=name, reading=read(files, version)).adopt()


@dataclass(slots=True, kw_only=True)
class _Adopter:
    """One adoption: what the files mean, and what is to be said of them."""

    files: tuple[NativeFile, ...]
    version: EngineVersion
    name: str
    reading: Reading
    notices: list[Problem] = field(default_factory=list)

    def adopt(self) -> Adoption:
        """Draft, complete, spell."""
        instance, clusters = self._drafts()
        clusters = _with_named_repositories(clusters, self.name)
        for _ in range(_ROUNDS):
            instance, clusters, changed = self._complete(instance, clusters)
            if not changed:
                break
        self._notices(instance, clusters)
        secrets = {path: secret for cluster in clusters for path, secret in cluster_secrets(cluster)}
        engine = engine_words(instance)
        repositories = {
            repository.name: repository_words(repository) for cluster in clusters for repository in cluster.repositories
        }
        spelled = {cluster.name: cluster_words(cluster) for cluster in clusters}
        words: Words = {"engines": {self.name: engine}, "repositories": {**repositories}, "clusters": {**spelled}}
        return Adoption(
            engine=(self.name, engine),
            repositories=repositories,
            clusters=spelled,
            comments=_beside_words(self._comments(instance, clusters), words),
            secrets=secrets,
            notices=tuple(self.notices),
        )

    def _drafts(self) -> tuple[EngineInstance, tuple[Cluster, ...]]:
        installation = install(self.files, self.version)
        main = installation.main
        servers = installation.sections.text("barman", "configuration_files_directory")
        said = {view.subject: Said(view.options) for view in self.reading.views}
        instance = draft.instance(self.name, said[""], None if main is None else main.path, servers)
        clusters = []
        for subject, server in said.items():
            if subject and not subject.startswith(MODEL_PREFIX) and self._nameable(subject):
                clusters.append(draft.cluster(subject, instance, server))
        models = {subject: model for subject, model in said.items() if subject.startswith(MODEL_PREFIX)}
        return instance, self._with_models(tuple(clusters), said, models)

    def _nameable(self, server: str) -> bool:
        problem = name_problem(server)
        if problem is None and "=" not in server:
            return True
        self._notice(f"[{server}] cannot be a cluster of a spec: {problem or 'it holds ='}", self._section(server))
        return False

    def _with_models(
        self, clusters: tuple[Cluster, ...], said: Mapping[str, Said], models: Mapping[str, Said]
    ) -> tuple[Cluster, ...]:
        """Each model with the first server of its `cluster`."""
        found: dict[str, list[BarmanModel]] = {cluster.name: [] for cluster in clusters}
        for subject, model in models.items():
            name = subject.removeprefix(MODEL_PREFIX)
            wanted = model.value("cluster")
            owners = [cluster.name for cluster in clusters if said[cluster.name].value("cluster") == wanted]
            owner = next(iter(owners), None) or next((cluster.name for cluster in clusters), None)
            if owner is None or name_problem(name) is not None:
                message = f"the model [{name}] has no server in these files to stand with: it is left out"
                self._notice(message, self._section(subject))
            else:
                found[owner].append(draft.model(name, model))
        return tuple(
            replace(
                cluster,
                models=tuple(found[cluster.name]),
                options=_own_cluster(cluster, said[cluster.name]) if found[cluster.name] else (),
            )
            for cluster in clusters
        )

    def _complete(
        self, instance: EngineInstance, clusters: tuple[Cluster, ...]
    ) -> tuple[EngineInstance, tuple[Cluster, ...], bool]:
        """The drafts with native options for all that would otherwise not mean what the files mean."""
        rendered = self._rendered(instance, clusters)
        missing = {subject: self._missing(subject, rendered) for subject in self._subjects(clusters)}
        engine = replace(instance, options=_added(instance.options, missing.pop("")))
        completed = tuple(
            replace(
                cluster,
                engine=engine,
                options=_added(cluster.options, missing[cluster.name]),
                models=tuple(
                    replace(model, options=_added(model.options, missing[f"{MODEL_PREFIX}{model.name}"]))
                    for model in cluster.models
                ),
            )
            for cluster in clusters
        )
        return engine, completed, (engine, completed) != (instance, clusters)

    def _subjects(self, clusters: tuple[Cluster, ...]) -> Iterator[str]:
        yield ""
        for cluster in clusters:
            yield cluster.name
            yield from (f"{MODEL_PREFIX}{model.name}" for model in cluster.models)

    def _rendered(self, instance: EngineInstance, clusters: tuple[Cluster, ...]) -> Reading:
        request = RenderRequest(
            instance=instance,
            clusters=clusters,
            version=self.version,
            secret=_revealed,
            spec_file="pgwrap.yaml",
        )
        main, *servers = (file.write for file in render(request).files)
        files = (
            NativeFile(path=main.path, content=main.text.encode()),
            *(NativeFile(path=write.path, content=write.text.encode(), role="include") for write in servers),
        )
        return read(files, self.version)

    def _missing(self, subject: str, rendered: Reading) -> tuple[NativeOption, ...]:
        wanted, found = self.reading.view(subject), rendered.view(subject)
        if wanted is None or found is None:
            return ()
        names = dict.fromkeys((*wanted.options, *found.options))
        differing = [name for name in names if _meaning(wanted, name) != _meaning(found, name)]
        # What the files say may settle what follows from it: defaults are written down only when nothing else helps.
        written = [name for name in differing if name in wanted.options and wanted.options[name].written]
        chosen = written or differing
        return tuple(option for name in chosen if (option := self._native(subject, name, wanted)) is not None)

    def _native(self, subject: str, name: str, wanted: View) -> NativeOption | None:
        """The option as it stands, or as Barman's default is written."""
        effective = wanted.options.get(name)
        text = "" if effective is None else _text(name, effective)
        if value_problem(text) is not None and name in SPACES_ALIKE:
            text = " ".join(text.split())
        problem = value_problem(text)
        if problem is not None:
            place = effective.place if effective is not None else None
            self._notice(f"[{subject or 'barman'}] {name} cannot be said in a spec: {problem}", place)
            return None
        return NativeOption(key=name, values=(text,))

    def _notice(self, message: str, place: Location | None, hint: str = "") -> None:
        problem = Problem(message=message, location=place, hint=hint, severity="warning")
        if problem not in self.notices:
            self.notices.append(problem)

    def _section(self, subject: str) -> Location | None:
        view = self.reading.view(subject)
        places = (effective.place for effective in view.options.values()) if view is not None else ()
        return min((place for place in places if place is not None), default=None)

    def _notices(self, instance: EngineInstance, clusters: tuple[Cluster, ...]) -> None:
        self._moved(instance, clusters)
        self._no_directory()
        for view in self.reading.views:
            for name, effective in view.options.items():
                self._overridden(view.subject, name, effective)
        for cluster in clusters:
            natives = [*cluster.options, *(option for model in cluster.models for option in model.options)]
            for option in natives:
                if option.key in conninfo.OPTIONS and conninfo.holds_password(",".join(option.values)):
                    message = f"[{cluster.engine_name}] {option.key} keeps its password in the spec"
                    hint = "put the password into .pgpass of Barman's user, and leave it out here"
                    self._notice(message, self._place(cluster.name, option.key), hint)

    def _place(self, subject: str, option: str) -> Location | None:
        view = self.reading.view(subject)
        effective = view.options.get(option) if view is not None else None
        return effective.place if effective is not None else None

    def _moved(self, instance: EngineInstance, clusters: tuple[Cluster, ...]) -> None:
        """Servers that will stand in another file than now."""
        for cluster in clusters:
            place = self._section(cluster.name)
            target = server_file(instance, cluster.engine_name)
            if place is None or place.file == target:
                continue
            message = f"[{cluster.engine_name}] will stand in {target}"
            stays = posixpath.dirname(place.file) == instance.include
            self._notice(message, place, f"remove {place.file} then, or Barman reads both" if stays else "")

    def _no_directory(self) -> None:
        installation = install(self.files, self.version)
        main = installation.main
        if main is None or installation.sections.text("barman", "configuration_files_directory"):
            return
        place = installation.sections.section_place("barman")
        message = f"Barman will also read {draft.DEFAULT_SERVERS}/*.conf, where pgwrap puts its servers"
        self._notice(message, place, "see that no other file is there, or write servers: DIRECTORY")

    def _overridden(self, subject: str, option: str, effective: Effective) -> None:
        place = effective.place
        overrides = {file.path for file in self.files if file.role == "override"}
        if place is not None and place.file in overrides and posixpath.basename(place.file) != ACTIVE_MODEL:
            message = f"[{subject}] {option} comes from what config-update wrote, which stays in force beside the spec"
            self._notice(message, place, f"remove {place.file} once the spec is applied")

    def _comments(self, instance: EngineInstance, clusters: tuple[Cluster, ...]) -> dict[Path, tuple[str, ...]]:
        found: dict[Path, tuple[str, ...]] = {}
        engine: Path = ("engines", self.name)
        for setting in global_settings(instance):
            self._comment("", setting, engine, found)
        for cluster in clusters:
            for setting in server_settings(cluster, self.version, _revealed):
                self._comment(cluster.name, setting, cluster.spec_path, found)
            for model in cluster.models:
                for setting in model_settings(cluster, model, _revealed):
                    self._comment(f"{MODEL_PREFIX}{model.name}", setting, cluster.spec_path, found)
        return found

    def _comment(self, subject: str, setting: Setting, base: Path, found: dict[Path, tuple[str, ...]]) -> None:
        place = self._place(subject, setting.key)
        if place is None:
            return
        file = next((file for file in self.files if file.path == place.file), None)
        lines = comments_above(file, place.line) if file is not None else ()
        if lines:
            path = (*base, *setting.word)
            found[path] = (*found.get(path, ()), *lines)


def _own_cluster(cluster: Cluster, said: Said) -> tuple[NativeOption, ...]:
    """Models belong to the server's `cluster`, where that is not its name."""
    name = said.value("cluster")
    return () if name is None or name == cluster.name else (NativeOption(key="cluster", values=(name,)),)


def _beside_words(comments: Mapping[Path, tuple[str, ...]], words: Words) -> dict[Path, tuple[str, ...]]:
    """Each comment above its word, or above what is around a word that is left unsaid."""
    found: dict[Path, tuple[str, ...]] = {}
    for path, lines in comments.items():
        place = next(path[:length] for length in range(len(path), 0, -1) if _is_said(path[:length], words))
        found[place] = (*found.get(place, ()), *lines)
    return found


def _is_said(path: Path, words: Words) -> bool:
    here: object = words
    for name in path:
        if isinstance(here, tuple) and name.isdigit() and int(name) < len(here):
            here = here[int(name)]
        elif isinstance(here, dict) and name in here:
            here = here[name]
        else:
            return False
    return True


def _meaning(view: View, name: str) -> tuple[str, ...] | None:
    effective = view.options.get(name)
    return None if effective is None else effective.values


def _text(name: str, effective: Effective) -> str:
    if effective.written:
        return effective.written[0]
    option = options().get(name)
    if option is not None and option.type == "bool":
        return "on" if effective.values == ("y",) else "off"
    separator = " " if name in conninfo.OPTIONS else ","
    return separator.join(effective.values)


def _added(known: tuple[NativeOption, ...], more: Iterable[NativeOption]) -> tuple[NativeOption, ...]:
    return tuple({option.key: option for option in (*known, *more)}.values())


def _revealed(secret: Secret) -> str:
    return secret.value[0]


def _with_named_repositories(clusters: tuple[Cluster, ...], engine: str) -> tuple[Cluster, ...]:
    """One repository for all servers that share a directory or a bucket, named after it."""
    named: dict[tuple[str | None, str | None], Repository] = {}
    taken: set[str] = set()
    for cluster in clusters:
        for repository in cluster.repositories:
            key = (repository.bucket, repository.path)
            if key not in named:
                name = _free_name(repository, engine, taken)
                taken.add(name)
                named[key] = replace(repository, name=name)
    return tuple(
        replace(
            cluster,
            repositories=tuple(named[repository.bucket, repository.path] for repository in cluster.repositories),
        )
        for cluster in clusters
    )


def _free_name(repository: Repository, engine: str, taken: set[str]) -> str:
    last = repository.bucket or posixpath.basename((repository.path or "").rstrip("/"))
    stem = f"{engine}-{re.sub(r'[^A-Za-z0-9_.-]', '-', last or 'root')}"[:100]
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)
