"""Runs pydantic over the spec's data and keeps going past what is wrong, so that one run tells everything.

It knows no word itself; schema.py does.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pgwrap.domain.model import Path
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass
from pgwrap.spec.merge import Data, Tree
from pgwrap.spec.problems import explain, path_of
from pgwrap.spec.schema import SpecWords
from pgwrap.text.yaml_text import Scalar

_MOST_PASSES = 100
"""More than the deepest spec has levels: each pass takes away every value that was refused."""
_LEFT_TO_CLUSTERS = {"missing", "incomplete"}
"""Errors that don't count in `defaults:`, where a cluster may still complete what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The words that are right, and problems for those that are not."""

    spec: SpecWords
    problems: tuple[Problem, ...]
    spoiled: frozenset[Path]
    """The first two parts of every path where something was refused."""


def validate(tree: Tree) -> Validation:
    """Validate all of the tree; what is refused is left out and the rest validated again."""
    found = _errors_or_spec(tree.data)
    problems = () if isinstance(found, SpecWords) else tuple(_explained(found, tree))
    spoiled: set[Path] = set()
    data = tree.data
    for _ in range(_MOST_PASSES):
        if isinstance(found, SpecWords):
            return Validation(spec=found, problems=problems, spoiled=frozenset(spoiled))
        paths = [path_of(error) for error in found]
        spoiled.update(path[:2] for path in paths)
        data = _without(data, paths)
        found = _errors_or_spec(data)
    return Validation(spec=SpecWords.model_construct(version=1), problems=problems, spoiled=frozenset(spoiled))


def _errors_or_spec(data: Data) -> SpecWords | list[ErrorDetails]:
    try:
        return SpecWords.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False)


def _explained(errors: Iterable[ErrorDetails], tree: Tree) -> Iterable[Problem]:
    for error in errors:
        if error["loc"][:1] != ("defaults",) or error["type"] not in _LEFT_TO_CLUSTERS:
            yield explain(error, tree)


def _without(data: Data, paths: Iterable[Path]) -> Data:
    pruned = _pruned(data, frozenset(_entry_at(data, path) for path in paths), ())
    if isinstance(pruned, dict):
        pruned["version"] = Scalar("1", quoted=False, location=Location("", 1, 1))
    return pruned


def _entry_at(data: Data, path: Path) -> Path:
    """The entry of a mapping to leave out so that the error at `path` goes away."""
    entry: Path = ()
    node = data
    for depth, part in enumerate(path):
        if isinstance(node, dict) and part in node:
            entry, node = path[: depth + 1], node[part]
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            break
    return entry


def _pruned(data: Data, entries: frozenset[Path], path: Path) -> Data:
    if isinstance(data, list):
        return [_pruned(item, entries, (*path, str(index))) for index, item in enumerate(data)]
    if not isinstance(data, dict):
        return data
    return {key: _pruned(item, entries, (*path, key)) for key, item in data.items() if (*path, key) not in entries}
