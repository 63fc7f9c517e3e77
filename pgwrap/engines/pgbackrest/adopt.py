"""pgBackRest's files as a part of a spec: words where a word means exactly the option, native options elsewhere.

What render.py writes from the words is what the files say; that it is so is proved by whoever calls, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from pgwrap.domain.adoption import Adoption, DraftValue, Words
from pgwrap.domain.model import Path
from pgwrap.domain.native import NativeFile
from pgwrap.engines.pgbackrest import adopt_values as to
from pgwrap.engines.pgbackrest.adopt_cluster import (
    COMPRESSION,
    Word,
    base_words,
    compression_words,
    option_words,
    server_words,
)
from pgwrap.engines.pgbackrest.adopt_repository import RepositoryDraft, draft
from pgwrap.engines.pgbackrest.layers import GLOBAL, Given, Layers
from pgwrap.engines.pgbackrest.native_lines import Lines, split, stanzas
from pgwrap.engines.pgbackrest.reader import in_order, read
from pgwrap.engines.pgbackrest.repository import DEFAULT_CONFIG
from pgwrap.engines.pgbackrest.rules import rules
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Problem
from pgwrap.records import dataclass

_ENGINE_WORDS = {"log-path": "log_directory", "lock-path": "lock_directory"}
_WORD_ORDER = ("postgres", "standbys", "repositories", "backup", "wal", "retention", "options")


def adopt(
    files: tuple[NativeFile, ...], version: EngineVersion, name: str, plain: frozenset[str] = frozenset()
) -> Adoption:
    """The files as the installation called `name`; the options of `plain` stay native."""
    adopter = _Adopter(in_order(files), version, name, plain)
    adopter.run()
    return adopter.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A repository as one stanza has it."""

    number: int
    draft: RepositoryDraft
    retention: tuple[tuple[Path, DraftValue], ...]
    """Empty where the cluster says it."""

    @property
    def meaning(self) -> tuple[object, ...]:
        """What makes two stanzas' repositories one."""
        words = (*self.draft.words, *self.draft.secrets)
        rest = () if self.draft.remote else tuple((given.rule.name, given.values) for given in self.draft.rest)
        return self.number, tuple((word.path, repr(word.value)) for word in words), self.retention, rest


@dataclass(slots=True)
class _Adopter:
    """Collects the words of one installation."""

    files: tuple[NativeFile, ...]
    version: EngineVersion
    name: str
    plain: frozenset[str]
    engine: Words = field(default_factory=dict)
    repositories: dict[str, Words] = field(default_factory=dict)
    clusters: dict[str, Words] = field(default_factory=dict)
    comments: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    secrets: dict[Path, str] = field(default_factory=dict)
    notices: list[Problem] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    """The options that a word says, by identity."""
    told: set[int] = field(default_factory=set)
    """Those whose comments have a place."""
    lines: Lines = field(init=False)
    layers: Layers = field(init=False)
    stanzas: tuple[str, ...] = field(init=False)
    counted: frozenset[str] = field(init=False)
    """Options as canonical names that some command of some stanza takes from the files."""

    def __post_init__(self) -> None:
        self.lines = split(self.files)
        self.layers = Layers(self.lines, rules(self.version))
        found = tuple(stanzas(self.lines))
        self.stanzas = tuple(name for name in found if to.name_fits(name))
        for name in found:
            if name not in self.stanzas:
                self.note(f"the spec takes no stanza of the name {name!r}: it is left out", self.lines.header(name))
        reading = read(self.files, self.version)
        self.counted = frozenset(
            key for view in reading.views for key, option in view.options.items() if option.place is not None
        )

    def note(self, message: str, where: object = None, hint: str = "") -> None:
        """Something the operator should know."""
        place = getattr(where, "place", None)
        self.notices.append(Problem(message=message, location=place, hint=hint, severity="warning"))

    def run(self) -> None:
        """Words first, then what has none."""
        self._installation()
        if self.stanzas:
            self._clusters()
            self._servers()
            self._options()
            if self._has_repository_words():
                self._repositories()
        self._natives()

    def result(self) -> Adoption:
        """What was collected, in the order of the reference."""
        clusters = {name: _ordered(words) for name, words in self.clusters.items()}
        return Adoption(
            engine=(self.name, self.engine),
            repositories=self.repositories,
            clusters=clusters,
            comments={path: lines for path, lines in self.comments.items() if lines},
            secrets=self.secrets,
            notices=tuple(self.notices),
        )

    def put(self, room: Path, words: Words, word: Word) -> None:
        """Set a word of `words`, which stands at `room`, with the comments of what it comes from."""
        to.put(words, word.path, word.value)
        self.comment((*room, *word.path), word.sources)
        self.used.update(id(source) for source in word.sources)

    def comment(self, path: Path, sources: Iterable[Given]) -> None:
        """Comments stand above one word, even where several say the same."""
        for source in sources:
            if id(source) not in self.told and source.comments:
                self.told.add(id(source))
                self.comments[path] = (*self.comments.get(path, ()), *source.comments)

    def _installation(self) -> None:
        main = next((file.path for file in self.files if file.role == "main"), DEFAULT_CONFIG)
        if main != DEFAULT_CONFIG and to.path((main,)) is not None:
            self.engine["config"] = main
        header = self.lines.header(GLOBAL)
        self.comments["engines", self.name] = (*self.lines.head, *(header.comments if header else ()))
        for given in self.layers.section(GLOBAL):
            word = _ENGINE_WORDS.get(given.rule.name)
            if word is not None and given.name not in self.plain and to.path(given.values) is not None:
                self.put(("engines", self.name), self.engine, Word((word,), given.values[0], (given,)))
        included = [file.path for file in self.files if file.path != main]
        if included:
            self.note(
                f"what {', '.join(included)} say goes into {main}",
                hint="move them away once it is rendered: an option in both is refused",
            )

    def _clusters(self) -> None:
        for stanza in self.stanzas:
            self.clusters[stanza] = {}
            header = self.lines.header(stanza)
            if header is not None:
                self.comments["clusters", stanza] = header.comments

    def _servers(self) -> None:
        for stanza in self.stanzas:
            servers: dict[int, Words] = {}
            for number, word in server_words(self.layers.section(stanza), self.plain):
                room = ("postgres",) if number == 1 else ("standbys", str(number - 2))
                self.put(("clusters", stanza, *room), servers.setdefault(number, {}), word)
            if servers:
                self.clusters[stanza]["postgres"] = servers[1]
            if len(servers) > 1:
                standbys = [words for number, words in sorted(servers.items()) if number > 1]
                self.clusters[stanza]["standbys"] = tuple(standbys)

    def _options(self) -> None:
        """Options of all stanzas alike: in words for all of them, or in none."""
        for name in base_words(self.version):
            if name not in self.plain:
                found = {stanza: option_words(self.layers, stanza, name, self.version) for stanza in self.stanzas}
                if all(self._says(stanza, words) for stanza, words in found.items()):
                    self._say(found, (name,))
        if not self._compress_is_off() and not self.plain & {*COMPRESSION}:
            found = {stanza: compression_words(self.layers, stanza) for stanza in self.stanzas}
            if all(words is not None for words in found.values()):
                self._say(found, COMPRESSION)

    def _says(self, stanza: str, words: tuple[Word, ...] | None) -> bool:
        """Whether words mean the option; a backup from a standby needs one that the spec names."""
        if words is None:
            return False
        asked = any(word.path == ("backup", "from") and word.value == "standby" for word in words)
        return not asked or "standbys" in self.clusters[stanza]

    def _compress_is_off(self) -> bool:
        return any(given.rule.name == "compress" and given.values == ("n",) for given in self._all())

    def _say(self, found: Mapping[str, tuple[Word, ...] | None], names: tuple[str, ...]) -> None:
        for stanza, words in found.items():
            for word in words or ():
                self.put(("clusters", stanza), self.clusters[stanza], word)
        self.used.update(id(given) for given in self._all() if given.rule.name in names)

    def _all(self) -> Iterator[Given]:
        for header in {header.section: header for header in self.lines.headers}.values():
            yield from self.layers.section(header.section)

    def _has_repository_words(self) -> bool:
        """Whether any option of a repository may become a word; without any, none of them is described at all."""
        given = [one for one in self._all() if one.rule.group == "repo" and one.name in self.counted]
        if not given or any(one.name not in self.plain for one in given):
            return True
        self.note("the repositories stay native options: pgwrap's other commands do not know them", given[0])
        return False

    def _repositories(self) -> None:
        drafts = {stanza: dict(self._drafts(stanza)) for stanza in self.stanzas}
        policies = {stanza: _common_policy(found) for stanza, found in drafts.items()}
        by_cluster = all(policy is not None for policy in policies.values())
        entries = {
            stanza: tuple(
                _Entry(number=number, draft=one, retention=() if by_cluster else _policy(one))
                for number, one in sorted(found.items())
            )
            for stanza, found in drafts.items()
        }
        if by_cluster:
            for stanza, found in drafts.items():
                for one in found.values():
                    for word in one.retention:
                        moved = Word(("retention", *word.path), word.value, word.sources)
                        self.put(("clusters", stanza), self.clusters[stanza], moved)
        self._name_repositories(entries)
        shared = len({tuple(entry.meaning for entry in own) for own in entries.values()}) == 1
        if not shared or self._set_apart():
            self._keep_global()

    def _drafts(self, stanza: str) -> Iterator[tuple[int, RepositoryDraft]]:
        given = {**_repository_options(self.layers, GLOBAL), **_repository_options(self.layers, stanza)}
        for number in sorted({number for _, number in given if self._is_counted(number)}) or [1]:
            own = {name: one for (name, key), one in given.items() if key == number}
            yield number, draft(own, self.plain, self.version)

    def _is_counted(self, number: int) -> bool:
        return any(key.startswith(f"repo{number}-") for key in self.counted)

    def _name_repositories(self, entries: Mapping[str, tuple[_Entry, ...]]) -> None:
        names: dict[tuple[object, ...], str] = {}
        numbers = [
            entry.number for entry in {entry.meaning: entry for own in entries.values() for entry in own}.values()
        ]
        for stanza, own in entries.items():
            for index, entry in enumerate(own):
                name = names.get(entry.meaning)
                if name is None:
                    shared = numbers.count(entry.number) == 1
                    name = f"repo{entry.number}" if shared else f"repo{entry.number}-{stanza}"
                    names[entry.meaning] = name
                    self.repositories[name] = self._repository(name, entry)
                self._mark_used(entry)
                if entry.number != index + 1:
                    self.repositories[name] = {"key": entry.number, **self.repositories[name]}
            self.clusters[stanza]["repositories"] = tuple(names[entry.meaning] for entry in own)

    def _mark_used(self, entry: _Entry) -> None:
        words = (*entry.draft.words, *entry.draft.secrets, *entry.draft.retention)
        self.used.update(id(source) for word in words for source in word.sources)
        if not entry.draft.remote:
            self.used.update(id(given) for given in entry.draft.rest)

    def _repository(self, name: str, entry: _Entry) -> Words:
        room, words = ("repositories", name), Words()
        for word in entry.draft.words:
            self.put(room, words, word)
        for word in entry.draft.secrets:
            if isinstance(word.value, str):
                self.comment((*room, *word.path), word.sources)
                self.secrets[*room, *word.path] = word.value
            else:
                self.put(room, words, word)
        if entry.retention:
            for word in entry.draft.retention:
                self.put(room, words, Word(("retention", *word.path), word.value, word.sources))
        for given in () if entry.draft.remote else entry.draft.rest:
            self._native(room, words, given, ("options", given.rule.name.removeprefix("repo-")))
        return words

    def _set_apart(self) -> bool:
        """Keep what all clusters share out of [global] where that says something else to commands without a stanza.

        A native option of a repository in any cluster does that (sharing.py).
        """
        common = _repository_options(self.layers, GLOBAL)
        hidden = [key for key, given in common.items() if id(given) not in self.used and given.name in self.counted]
        for stanza in self.stanzas if hidden else ():
            for key, given in _repository_options(self.layers, stanza).items():
                if key in common and not given.rule.secure:
                    room = ("clusters", stanza)
                    self._native(room, self.clusters[stanza], given, ("options", "pgbackrest", given.name))
                    return True
        return False

    def _keep_global(self) -> None:
        """What [global] says of repositories counts for commands without a stanza, too."""
        for given in _repository_options(self.layers, GLOBAL).values():
            if id(given) in self.used and given.name in self.counted:
                self._native(("engines", self.name), self.engine, given, ("options", given.name))

    def _natives(self) -> None:
        """Everything that no word says, where it stood."""
        for section in dict.fromkeys(header.section for header in self.lines.headers):
            subject, colon, command = section.partition(":")
            if colon and command not in self.layers.rules.commands:
                continue
            if subject == GLOBAL:
                room, words = ("engines", self.name), self.engine
            elif subject in self.clusters:
                room, words = ("clusters", subject), self.clusters[subject]
            else:
                continue
            below = ("options",) if subject == GLOBAL else ("options", "pgbackrest")
            for given in self.layers.section(section):
                if id(given) not in self.used and _may_count(given, command):
                    self._native(room, words, given, (*below, *((command,) if command else ()), given.name))

    def _native(self, room: Path, words: Words, given: Given, where: Path) -> None:
        if given.rule.secure and given.name not in self.counted:
            self.note(f"{given.name} is a secret that no command uses: it is left out", given)
            return
        if given.rule.secure:
            self.note(f"{given.name} has no word here: the secret itself stands in the spec", given)
        to.put(words, where, to.native(given))
        self.comment((*room, *where), (given,))


def _repository_options(layers: Layers, section: str) -> dict[tuple[str, int], Given]:
    """By name without `repo-`, and number."""
    return {
        (given.rule.name.removeprefix("repo-"), given.number): given
        for given in layers.section(section)
        if given.rule.group == "repo"
    }


def _may_count(given: Given, command: str) -> bool:
    """Whether any command takes the option from its section at all."""
    if command and command not in given.rule.commands:
        return False
    return given.rule.section != "stanza" or given.section.partition(":")[0] != GLOBAL


def _policy(one: RepositoryDraft) -> tuple[tuple[Path, DraftValue], ...]:
    return tuple((word.path, word.value) for word in one.retention)


def _common_policy(drafts: Mapping[int, RepositoryDraft]) -> tuple[tuple[Path, DraftValue], ...] | None:
    """The policy that all repositories of a stanza have; None where they differ."""
    policies = {_policy(one) for one in drafts.values()}
    return policies.pop() if len(policies) == 1 else None


def _ordered(words: Words) -> Words:
    return {word: words[word] for word in (*_WORD_ORDER, *words) if word in words and words[word] != {}}
