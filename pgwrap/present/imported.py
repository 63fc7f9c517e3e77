"""What an import found and proved, for people and for programs. It shows no secret of a native file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgwrap.domain.native import Difference, Effective
from pgwrap.errors import Problem
from pgwrap.present.encode import Json
from pgwrap.present.harmless import harmless
from pgwrap.present.problems import problem_data

_NAMES = {"pgbackrest": "pgBackRest", "barman": "Barman"}


def proof_lines(
    engine: str,
    version: str,
    options: int,
    differences: Sequence[Difference],
    moves: Sequence[tuple[Difference, str]],
) -> Iterator[str]:
    """The verdict on one engine's files, then a line for each difference, and for each that changes nothing."""
    verdict = f"{len(differences)} differ" if differences else "all equal"
    moved = f", {len(moves)} moved" if moves else ""
    yield f"{_NAMES.get(engine, engine)} {version}: {options} options, {verdict}{moved}"
    for difference in differences:
        yield f"{_place(difference)}error: {_said(difference)}"
    for difference, reason in moves:
        yield f"{_place(difference)}moved: {_said(difference)} ({reason})"


def _place(difference: Difference) -> str:
    one = difference.before or difference.after
    return f"{one.place}: " if one is not None and one.place is not None else ""


def _said(difference: Difference) -> str:
    subject = f"{difference.subject}: " if difference.subject else ""
    commands = f" for {', '.join(difference.commands)}" if difference.commands else ""
    before, after = _shown(difference.before), _shown(difference.after)
    return harmless(f"{subject}{difference.option}: {before} → {after}{commands}")


def _shown(option: Effective | None) -> str:
    if option is None:
        return "not set"
    return f"{option.shown} (default)" if option.place is None else option.shown


def difference_data(difference: Difference) -> Json:
    """A difference for programs, secrets masked."""
    one = difference.before
    place = one.place if one is not None else None
    return {
        "subject": difference.subject,
        "option": difference.option,
        "commands": list(difference.commands),
        "before": None if difference.before is None else difference.before.shown,
        "after": None if difference.after is None else difference.after.shown,
        "file": place.file if place else None,
        "line": place.line if place else None,
    }


def notices_data(problems: Sequence[Problem]) -> list[Json]:
    """What the operator should know."""
    return [problem_data(problem) for problem in problems]
