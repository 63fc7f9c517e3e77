"""The one PyYAML door: YAML text to a small frozen tree that keeps the author's text and its place, and data to text.

It gives no meaning to any word, opens no file, and never builds an object from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, cast

import yaml

from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml: slower, otherwise the same
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]

SIZE_LIMIT = 4 << 20
"""Bytes of one file; a fleet of a thousand clusters takes about one tenth of it."""
DEPTH_LIMIT = 64
"""Levels of mappings and lists inside one another."""
ALIAS_LIMIT = 100_000
"""Values that all aliases of one file may repeat, counted as if each were written out."""

PlainData: TypeAlias = "str | int | float | bool | list[PlainData] | dict[str, PlainData] | None"

_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30}(?:[eE][-+]?[0-9]{1,3})?|[eE][-+]?[0-9]{1,3})")
_OTHER_NUMBERS = re.compile(r"[-+]?(?:0o[0-7]+|[0-9.][0-9.]*[eE][-+]?[0-9]+)")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as the author typed it; `quoted` also for block text (`|`, `>`)."""

    text: str
    quoted: bool
    location: Location

    @property
    def is_null(self) -> bool:
        """Whether nothing was said: `null`, `~` or an empty place."""
        return not self.quoted and self.text in {"", "~", "null"}

    @property
    def value(self) -> str | int | float | bool | None:
        """What the text stands for. Only true, false, null and plain decimal numbers are more than text."""
        if self.quoted:
            return self.text
        if self.is_null:
            return None
        if self.text in {"true", "false"}:
            return self.text == "true"
        if _INTEGER.fullmatch(self.text):
            return int(self.text)
        return float(self.text) if _FLOAT.fullmatch(self.text) else self.text


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys with values, in the order written; no key twice."""

    entries: tuple[Entry, ...]
    location: Location

    def get(self, key: str) -> Node | None:
        """The value of `key`, or None."""
        return next((entry.value for entry in self.entries if entry.key.text == key), None)


Node: TypeAlias = Scalar | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file: its tree (None when it is empty or cannot be read at all) and everything wrong with its YAML."""

    root: Node | None
    problems: tuple[Problem, ...] = ()


def parse(data: bytes, file: str) -> Document:
    """Read one YAML document; `file` is the name its locations carry. Never raises for what the text holds."""
    composer = _Composer(file)
    try:
        root = composer.document(_decoded(data, file))
    except _UnreadableError as unreadable:
        return Document(root=None, problems=(*composer.problems, unreadable.problem))
    return Document(root=root, problems=tuple(composer.problems))


def plain(node: Node) -> PlainData:
    """The tree as ordinary data, each scalar by its `value`."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.items]
    return {entry.key.text: plain(entry.value) for entry in node.entries}


_NodeStart: TypeAlias = yaml.ScalarEvent | yaml.CollectionStartEvent


class _UnreadableError(Exception):
    """The text cannot be read past this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _too_deep(location: Location) -> _UnreadableError:
    return _unreadable(f"nested more than {DEPTH_LIMIT} levels deep", location)


def _unreadable(message: str, location: Location, hint: str = "") -> _UnreadableError:
    return _UnreadableError(Problem(message=message, location=location, hint=hint))


def _decoded(data: bytes, file: str) -> str:
    if len(data) > SIZE_LIMIT:
        message = f"the file is larger than {SIZE_LIMIT >> 20} MiB, the most that pgwrap reads"
        raise _unreadable(message, Location(file, 1, 1), "split it with include:")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", errors="replace")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise _unreadable(message, _end_of(before, file), "save the file as UTF-8") from None
    bad = _NOT_YAML.search(text)
    if bad is not None:
        message = f"character U+{ord(bad[0]):04X} is not allowed in YAML"
        raise _unreadable(message, _end_of(text[: bad.start()], file), "remove it")
    return text


def _end_of(text: str, file: str) -> Location:
    lines = _LINE_BREAK.split(text)
    return Location(file, len(lines), len(lines[-1]) + 1)


class _Mark(Protocol):
    line: int
    column: int


class _Composer:
    """Builds one document's tree from libyaml's events, which are bounded in memory whatever the text."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.text = ""
        self.events: Iterator[yaml.Event] = iter(())
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.open_anchors: set[str] = set()
        self.count = 0
        self.repeated = 0

    def document(self, text: str) -> Node | None:
        self.text = text
        self.events = self._guarded(text)
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        root = self.node(next(self.events), 0)
        next(self.events)  # the end of the document
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            message = "a second YAML document starts here"
            raise _unreadable(message, self.place(following.start_mark), "keep one document in a file, without ---")
        return None if isinstance(root, Scalar) and root.is_null else root

    def _guarded(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise self.syntax_error(error) from None
        except yaml.YAMLError as error:
            raise _unreadable(f"not YAML: {error}", Location(self.file, 1, 1)) from None

    def syntax_error(self, error: yaml.MarkedYAMLError) -> _UnreadableError:
        mark = error.problem_mark or error.context_mark
        location = self.place(mark)
        if "nesting depth" in (
            error.problem or ""
        ):  # PyYAML 6.0.4 has a limit of its own, which its scanner meets first
            return _too_deep(location)
        lines = _LINE_BREAK.split(self.text)
        line = lines[location.line - 1] if location.line <= len(lines) else ""
        if line[location.column - 1 : location.column] == "\t" or re.match(" *\t", line):
            return _unreadable("a tab in the indentation", location, "indent with spaces")
        context = f" {error.context}" if error.context else ""
        return _unreadable(f"not YAML: {error.problem}{context}", location)

    def place(self, mark: _Mark | None) -> Location:
        return Location(self.file, mark.line + 1, mark.column + 1) if mark else Location(self.file, 1, 1)

    def node(self, event: yaml.Event, depth: int) -> Node:
        location = self.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor or "", location)
        if depth > DEPTH_LIMIT:
            raise _too_deep(location)
        start = cast("_NodeStart", event)
        self.refuse_tag(start, location)
        return self.value(start, location, depth) if start.anchor is None else self.anchored(start, location, depth)

    def anchored(self, event: _NodeStart, location: Location, depth: int) -> Node:
        anchor, before = event.anchor or "", self.count
        self.open_anchors.add(anchor)
        node = self.value(event, location, depth)
        self.open_anchors.discard(anchor)
        self.anchors[anchor] = (node, self.count - before)
        return node

    def value(self, event: _NodeStart, location: Location, depth: int) -> Node:
        self.count += 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, bool(event.style), location)
        if isinstance(event, yaml.SequenceStartEvent):
            return SequenceNode(tuple(self.items(depth + 1)), location)
        return MappingNode(tuple(self.entries(depth + 1)), location)

    def refuse_tag(self, event: _NodeStart, location: Location) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report(f"the tag {tag} is not allowed", location, "remove it; quote the value to keep it text")

    def report(self, message: str, location: Location, hint: str = "") -> None:
        self.problems.append(Problem(message=message, location=location, hint=hint))

    def alias(self, name: str, location: Location) -> Node:
        if name in self.open_anchors:
            raise _unreadable(f"the alias *{name} stands inside what it repeats", location)
        if name not in self.anchors:
            raise _unreadable(f"the alias *{name} has no anchor &{name} before it", location)
        node, weight = self.anchors[name]
        self.count += weight
        self.repeated += weight
        if self.repeated > ALIAS_LIMIT:
            message = f"the aliases of this file repeat more than {ALIAS_LIMIT} values"
            raise _unreadable(message, location, "write defaults: instead of aliases")
        return node

    def items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, depth)

    def entries(self, depth: int) -> Iterator[Entry]:
        seen: dict[str, Location] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth)
            value = self.node(next(self.events), depth)
            if self.is_usable(key, seen) and isinstance(key, Scalar):
                seen[key.text] = key.location
                yield Entry(key, value)

    def is_usable(self, key: Node, seen: Mapping[str, Location]) -> bool:
        if not isinstance(key, Scalar) or (not key.quoted and key.text in {"", "~"}):
            self.report("a key must be text", key.location)
        elif key.text == "<<" and not key.quoted:
            self.report("merge keys (<<) are not read", key.location, "write defaults:, or an alias for a whole value")
        elif key.text in seen:
            self.report(f"{key.text!r} is written twice here (first in line {seen[key.text].line})", key.location)
        else:
            return True
        return False


class _PlainDumper(SafeDumper):
    """Block style, no aliases, and quotes wherever any YAML reader could take a text for something else."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's hook
        return True


def _as_text(dumper: _PlainDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_str(str(data))


_PlainDumper.add_multi_representer(str, _as_text)
_PlainDumper.add_implicit_resolver("tag:yaml.org,2002:float", _OTHER_NUMBERS, list("-+.0123456789"))
_PlainDumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]"), list("yYnN"))


def dump(data: object) -> str:
    """Mappings, sequences, text, numbers, booleans and None as YAML: stable, in the order given, never an alias.

    Raises yaml.representer.RepresenterError (a bug of the caller) for anything else.
    """
    return yaml.dump(
        _with_lists(data),
        Dumper=_PlainDumper,
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=False,
        width=10_000,
    )


def _with_lists(data: object) -> object:
    if isinstance(data, Mapping):
        return {key: _with_lists(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_with_lists(value) for value in data]
    return data
