"""Adopted native files as the text of a spec, comments above their words, which the loader reads back unchanged.

It reads no native file, writes nothing to disk, and decides no word.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from pgwrap.domain.adoption import Adoption, DraftedSpec, DraftValue, Words
from pgwrap.domain.model import Path
from pgwrap.records import dataclass
from pgwrap.spec.names import CONTROL
from pgwrap.text.yaml_text import dump

_INDENT = "  "
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SILENT_STEPS = frozenset({"credentials", "encryption", "postgres", "repositories", "clusters"})
_NOT_SAYABLE = re.compile("[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(adoptions: Sequence[Adoption], secrets_in: str | None = None, head: Sequence[str] = ()) -> DraftedSpec:
    """One spec of all adoptions; secrets go to files in the directory `secrets_in`, or stay in the text."""
    joined = _Joined()
    for adoption in adoptions:
        joined.add(adoption)
    files: dict[str, str] = {}
    for path, secret in joined.secrets.items():
        _put(joined.root, path, _secret(path, secret, secrets_in, files))
    lines = [*(_comment(line) for line in head), *_mapping(joined.root, (), 0, joined.comments)]
    literal = () if secrets_in is not None else tuple(joined.secrets)
    return DraftedSpec(text="\n".join(lines) + "\n", secrets=files, literal=literal)


@dataclass(slots=True)
class _Joined:
    """All adoptions in one tree; a name that two of them give gets the engine's name added."""

    root: Words = field(default_factory=lambda: {"version": 1, "engines": {}, "repositories": {}, "clusters": {}})
    comments: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    secrets: dict[Path, str] = field(default_factory=dict)

    def room(self, name: str) -> Words:
        """One of the rooms of the spec."""
        room = self.root[name]
        if not isinstance(room, dict):
            raise TypeError(f"{name} is no mapping")
        return room

    def add(self, adoption: Adoption) -> None:
        """Take an adoption in."""
        engine, words = adoption.engine
        renamed: dict[Path, str] = {}
        self.room("engines")[engine] = dict(words)
        for name, repository in adoption.repositories.items():
            self._place("repositories", name, dict(repository), engine, renamed)
        for name, cluster in adoption.clusters.items():
            self._place("clusters", name, _of_engine(cluster, engine, renamed), engine, renamed)
        for path, lines in adoption.comments.items():
            self.comments[_moved(path, renamed)] = tuple(lines)
        for path, secret in adoption.secrets.items():
            self.secrets[_moved(path, renamed)] = secret

    def _place(self, room: str, name: str, words: Words, engine: str, renamed: dict[Path, str]) -> None:
        free = self._free(room, name, engine)
        if free != name:
            renamed[room, name] = free
            if room == "clusters":
                words.setdefault("engine_name", name)
        self.room(room)[free] = words

    def _free(self, room: str, name: str, engine: str) -> str:
        taken = self.room(room)
        wanted = [name, f"{name}-{engine}", *(f"{name}-{engine}-{number}" for number in range(2, len(taken) + 3))]
        return next(one for one in wanted if one not in taken)


def _of_engine(cluster: Words, engine: str, renamed: Mapping[Path, str]) -> Words:
    """The words of a cluster, which says its engine first where that is not the default."""
    words = dict(cluster)
    listed = words.get("repositories")
    if isinstance(listed, tuple):
        words["repositories"] = tuple(renamed.get(("repositories", str(one)), one) for one in listed)
    return words if engine == "pgbackrest" or "engine" in words else {"engine": engine, **words}


def _moved(path: Path, renamed: Mapping[Path, str]) -> Path:
    name = renamed.get(path[:2])
    return path if name is None else (path[0], name, *path[2:])


def _put(words: Words, path: Path, value: DraftValue) -> None:
    *above, last = path
    here: DraftValue = words
    for one in above:
        here = here[int(one)] if isinstance(here, tuple) else _mapping_at(here, path).setdefault(one, {})
    _mapping_at(here, path)[last] = value


def _mapping_at(value: DraftValue, path: Path) -> Words:
    if not isinstance(value, dict):
        raise TypeError(f"{'.'.join(path)} passes through what is no mapping")
    return value


def _secret(path: Path, secret: str, directory: str | None, files: dict[str, str]) -> DraftValue:
    if directory is None:
        return secret
    steps = [step for step in path if step not in _SILENT_STEPS]
    name = _UNSAFE.sub("-", "-".join(steps)).strip("-.") or "secret"
    place = posixpath.join(directory, name)
    number = 2
    while place in files:
        place = posixpath.join(directory, f"{name}-{number}")
        number += 1
    files[place] = f"{secret}\n"
    return {"file": place}


def _comment(line: str) -> str:
    """A comment; what no YAML may hold is shown as ?."""
    said = CONTROL.sub("?", _NOT_SAYABLE.sub("?", line))
    return f"# {said}" if said.strip() else "#"


def _mapping(words: Words, path: Path, depth: int, comments: Mapping[Path, tuple[str, ...]]) -> Iterator[str]:
    for name, value in words.items():
        if value == {} and depth == 0:
            continue
        if depth == 0 and name != "version":
            yield ""
        where = (*path, name)
        yield from (_INDENT * depth + _comment(line) for line in comments.get(where, ()))
        yield from _entry(f"{_INDENT * depth}{_scalar(name)}:", value, where, depth, comments)


def _entry(
    start: str, value: DraftValue, path: Path, depth: int, comments: Mapping[Path, tuple[str, ...]]
) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield start
        yield from _mapping(value, path, depth + 1, comments)
    elif isinstance(value, tuple) and value:
        yield start
        for index, item in enumerate(value):
            yield from _item(item, (*path, str(index)), depth + 1, comments)
    else:
        yield f"{start} {'{}' if value == {} else '[]' if value == () else _scalar(value)}"


def _item(value: DraftValue, path: Path, depth: int, comments: Mapping[Path, tuple[str, ...]]) -> Iterator[str]:
    """An item of a list; a mapping begins on the line of its dash, its comments above."""
    indent = _INDENT * depth
    if not isinstance(value, dict) or not value:
        yield f"{indent}- {'{}' if value == {} else _scalar(value)}"
        return
    lines = list(_mapping(value, path, depth + 1, comments))
    first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
    yield from (line.removeprefix(_INDENT) for line in lines[:first])
    yield f"{indent}- {lines[first].lstrip()}"
    yield from lines[first + 1 :]


def _scalar(value: object) -> str:
    """A value as YAML, quoted wherever a reader could take it for something else."""
    return dump([value]).removeprefix("- ").rstrip("\n")
