"""Turns what pydantic and the spec's own checks find into problems with a place and a way out. It checks nothing.

No message ever repeats a value that could be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pgwrap.domain.model import Path
from pgwrap.errors import Problem
from pgwrap.spec.merge import Tree
from pgwrap.spec.names import CONTROL
from pgwrap.spec.schema import SecretForm, SpecWords
from pgwrap.spec.values import shape_of

_MAPPING_WANTED = {"model_type", "model_attributes_type", "dict_type"}
_MOST_NAMES = 1000
"""Comparing with more names than this would take longer than the author cares to wait."""
_LIST_WANTED = {"tuple_type", "list_type"}


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """`did you mean …?` when a known name is close; else the known names, if they are few."""
    names = sorted(known)
    if len(names) > _MOST_NAMES:
        return ""
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def dotted(path: Path) -> str:
    """The path as messages show it, in one line whatever a key holds."""
    return CONTROL.sub("?", ".".join(path))


def explain(error: ErrorDetails, tree: Tree) -> Problem:
    """The problem that a validation error stands for."""
    path = path_of(error)
    if error["type"] == "extra_forbidden":
        return _unknown_word(path, tree)
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] in {"refused", "incomplete"}:
        message, hint = context["message"], context["hint"]
    else:
        message, hint = _sentence(error, context), _hint(error, context)
    if error["type"] == "missing":
        path, message = path[:-1], f"{path[-1]!r} is missing"
    return Problem(message=message, hint=hint, location=tree.nearest(path), path=dotted(path))


def path_of(error: ErrorDetails) -> Path:
    """Where the error is; for a bad key, the entry."""
    location = error["loc"]
    return tuple(str(part) for part in (location[:-1] if location and location[-1] == "[key]" else location))


def _unknown_word(path: Path, tree: Tree) -> Problem:
    model = model_at(path[:-1])
    location = tree.keys.get(path)
    if model is SecretForm:
        hint = "write {env: NAME}, {file: PATH}, {credential: NAME} or {command: [PROGRAM]}"
        return Problem(message="is not a form of secret", hint=hint, location=location, path=dotted(path[:-1]))
    known = words_of(model) if model else ()
    return Problem(
        message=f"unknown word {path[-1]!r}", hint=did_you_mean(path[-1], known), location=location, path=dotted(path)
    )


def _sentence(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    sentences: dict[str, Callable[[], str]] = {
        **dict.fromkeys(_MAPPING_WANTED, lambda: f"must be a mapping, not {shape_of(error['input'])}"),
        **dict.fromkeys(_LIST_WANTED, lambda: f"must be a list, not {shape_of(error['input'])}"),
        "missing": lambda: "is missing",
        "too_short": lambda: "must not be empty",
        "greater_than_equal": lambda: f"must be at least {context['ge']}",
        "less_than_equal": lambda: f"must be at most {context['le']}",
        "literal_error": lambda: f"{str(error['input'])[:60]!r} is not one of {', '.join(_expected(context))}",
    }
    sentence = sentences.get(error["type"])
    return sentence() if sentence else error["msg"]


def _hint(error: ErrorDetails, context: Mapping[str, Any]) -> str:
    if error["type"] in _LIST_WANTED:
        return "write [a, b], or an item a line, each after a dash"
    if error["type"] != "literal_error":
        return ""
    close = difflib.get_close_matches(str(error["input"]), _expected(context), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _expected(context: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", context["expected"])


def words_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The words a mapping of the spec may hold, as they are written."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def model_at(path: Path) -> type[BaseModel] | None:
    """The model of the mapping at `path` of the spec."""
    model: type[BaseModel] | None = SpecWords
    inside: object = None
    for part in path:
        if model is None:
            return None
        if inside is not None:  # the name of an entry, or a list's index
            inside = None
            continue
        annotation = next(
            (info.annotation for name, info in model.model_fields.items() if (info.alias or name) == part), None
        )
        model = _model_in(annotation)
        inside = annotation if _is_collection(annotation) else None
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found), None)


def _is_collection(annotation: object) -> bool:
    origins = (getattr(part, "__origin__", None) for part in (annotation, *get_args(annotation)))
    return any(origin in {dict, tuple} for origin in origins)


def control_characters(tree: Tree) -> Iterator[Problem]:
    """Every key or value that holds a line break or another control character; a drill's query may have lines."""
    for path, scalar in tree.texts:
        found = CONTROL.search(scalar.text)
        if found and not (
            path[-1:] == ("sql",) and not CONTROL.search(scalar.text.replace("\n", "").replace("\t", ""))
        ):
            what = "a line break" if found[0] in "\n\r\u2028\u2029" else f"the control character U+{ord(found[0]):04X}"
            yield Problem(
                message=f"must not hold {what}",
                hint="write it on one line",
                location=scalar.location,
                path=dotted(path),
            )
