"""Joins the spec's files into one tree, lays defaults under clusters, and keeps where each value was written.

It knows the names of the top-level words only; it checks no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TypeAlias

from pgwrap.domain.model import Path
from pgwrap.errors import Location, Problem, SpecError
from pgwrap.records import dataclass
from pgwrap.text.yaml_text import Entry, MappingNode, Node, Scalar, SequenceNode

Data: TypeAlias = "Scalar | list[Data] | dict[str, Data] | None"

SHARED = ("engines", "repositories", "clusters")
"""Words that every file of a spec may hold; their entries are put together by name."""
MAIN_ONLY = ("include", "state", "defaults")
EXCLUSIVE = {"retention": frozenset({"full", "window"})}
"""Words of a mapping that replace one another, so a cluster's `full` takes the place of a default `window`."""


VALUE_LIMIT = 500_000
"""Values of the whole spec once defaults are laid under each cluster; ten thousand clusters take fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file's tree."""

    name: str
    root: MappingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The whole spec as data for validation, with the place of every value and of every key."""

    data: Data
    values: dict[Path, Location] = field(default_factory=dict)
    """A single value's own place; a mapping's or list's is that of its key."""
    keys: dict[Path, Location] = field(default_factory=dict)
    texts: tuple[tuple[Path, Scalar], ...] = ()
    """Every key and single value."""

    def nearest(self, path: Path) -> Location | None:
        """The place of `path`, or of the nearest thing around it that was written down."""
        return next((self.values[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.values), None)


def join(files: tuple[SourceFile, ...]) -> tuple[MappingNode, tuple[Problem, ...]]:
    """One tree of all files, the main file first; entries that two files state are problems."""
    main, *others = files
    joined = {entry.key.text: entry for entry in main.root.entries}
    problems: list[Problem] = []
    for other in others:
        for entry in other.root.entries:
            problems.extend(_add(joined, entry))
    return MappingNode(tuple(joined.values()), main.root.location), tuple(problems)


def _add(joined: dict[str, Entry], entry: Entry) -> Iterator[Problem]:
    name = entry.key.text
    if name in MAIN_ONLY:
        yield Problem(message="belongs in the main file", location=entry.key.location, path=name)
    elif name in SHARED and name in joined:
        yield from _add_section(joined, entry)
    elif name == "version" and isinstance(entry.value, Scalar) and entry.value.text != "1":
        yield Problem(message="must be 1", location=entry.value.location, path=name)
    elif name != "version":
        joined.setdefault(name, entry)


def _add_section(joined: dict[str, Entry], entry: Entry) -> Iterator[Problem]:
    name = entry.key.text
    before, added = _section(joined[name].value), _section(entry.value)
    if before is None or added is None:
        if added is None:
            yield Problem(message="must be a mapping", location=entry.value.location, path=name)
        return
    places = {known.key.text: known.key.location for known in before.entries}
    fresh = tuple(candidate for candidate in added.entries if candidate.key.text not in places)
    joined[name] = Entry(joined[name].key, MappingNode((*before.entries, *fresh), before.location))
    for candidate in added.entries:
        if candidate.key.text in places:
            message = f"is already described at {places[candidate.key.text]}"
            yield Problem(message=message, location=candidate.key.location, path=f"{name}.{candidate.key.text}")


def _section(node: Node) -> MappingNode | None:
    if isinstance(node, Scalar) and node.is_null:
        return MappingNode((), node.location)
    return node if isinstance(node, MappingNode) else None


def with_defaults(root: MappingNode) -> MappingNode:
    """The tree with `defaults:` laid under every cluster, an empty one too. A value from there keeps its place."""
    defaults, clusters = root.get("defaults"), root.get("clusters")
    if not isinstance(clusters, MappingNode):
        return root
    if not isinstance(defaults, MappingNode):
        defaults = MappingNode((), root.location)
    merged = MappingNode(
        tuple(Entry(entry.key, _over_defaults(defaults, entry.value)) for entry in clusters.entries), clusters.location
    )
    return MappingNode(
        tuple(Entry(entry.key, merged) if entry.key.text == "clusters" else entry for entry in root.entries),
        root.location,
    )


def _over_defaults(defaults: MappingNode, cluster: Node) -> Node:
    stated = _section(cluster)
    return cluster if stated is None else overlay(defaults, stated)


def overlay(base: Node, top: Node, name: str = "") -> Node:
    """`top` laid over `base`: mappings merge word by word, anything else is replaced."""
    if not isinstance(base, MappingNode) or not isinstance(top, MappingNode):
        return top
    stated = {entry.key.text: entry for entry in top.entries}
    replaced = _replaced(stated, EXCLUSIVE.get(name, frozenset()))
    kept = (entry for entry in base.entries if entry.key.text not in replaced)
    merged = {entry.key.text: entry for entry in kept}
    for key, entry in stated.items():
        below = merged.get(key)
        merged[key] = Entry(entry.key, overlay(below.value, entry.value, key)) if below else entry
    return MappingNode(tuple(merged.values()), top.location)


def _replaced(stated: dict[str, Entry], exclusive: frozenset[str]) -> frozenset[str]:
    said = {key for key in exclusive & stated.keys() if not _is_null(stated[key].value)}
    return exclusive - said if said else frozenset()


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null


def flatten(root: MappingNode) -> Tree:
    """The tree as dicts and lists of scalars, None for null, with the place of everything.

    Raises SpecError when defaults and aliases make it larger than any fleet is.
    """
    flattening = _Flattening()
    flattening.values[()] = root.location
    data = flattening.data_of(root, ())
    return Tree(data=data, values=flattening.values, keys=flattening.keys, texts=tuple(flattening.texts))


class _Flattening:
    def __init__(self) -> None:
        self.values: dict[Path, Location] = {}
        self.keys: dict[Path, Location] = {}
        self.texts: list[tuple[Path, Scalar]] = []

    def data_of(self, node: Node, path: Path) -> Data:
        if isinstance(node, Scalar):
            self.values[path] = node.location
            self.texts.append((path, node))
            return None if node.is_null else node
        if isinstance(node, SequenceNode):
            return [self.item(item, (*path, str(index))) for index, item in enumerate(node.items)]
        return {entry.key.text: self.entry(entry, (*path, entry.key.text)) for entry in node.entries}

    def item(self, node: Node, path: Path) -> Data:
        self.values[path] = node.location
        self.refuse_bomb(node.location)
        return self.data_of(node, path)

    def refuse_bomb(self, location: Location) -> None:
        if len(self.values) > VALUE_LIMIT:
            message = f"with its defaults, the spec grows to more than {VALUE_LIMIT} values"
            raise SpecError((Problem(message=message, location=location, hint="say less in defaults:"),))

    def entry(self, entry: Entry, path: Path) -> Data:
        self.values[path] = self.keys[path] = entry.key.location
        self.refuse_bomb(entry.key.location)
        self.texts.append((path, entry.key))
        return self.data_of(entry.value, path)
