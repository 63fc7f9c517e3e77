"""What is wrong with a spec, for people and for programs. It finds no problem itself."""

from __future__ import annotations

from collections.abc import Sequence

from pgwrap.errors import Problem
from pgwrap.present.encode import Json
from pgwrap.present.harmless import harmless


def problems_text(problems: Sequence[Problem]) -> str:
    """A line per problem in the form editors and CI read: `file:line:column: error: path: message (hint)`."""
    return "".join(f"{harmless(str(problem))}\n" for problem in problems)


def problems_data(problems: Sequence[Problem]) -> Json:
    """The `result` of `pgwrap validate -o json`: whether the spec can be used, and every problem with its place."""
    return {
        "valid": not any(problem.severity == "error" for problem in problems),
        "problems": [problem_data(problem) for problem in problems],
    }


def problem_data(problem: Problem) -> Json:
    """One problem with its place."""
    place = problem.location
    return {
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
        "path": problem.path,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }
