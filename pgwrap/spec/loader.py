"""Finds the spec and gives the fleet it describes, or everything that is wrong with it at once.

It never looks in the working directory, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pgwrap.domain.model import Fleet
from pgwrap.errors import Problem, SpecError
from pgwrap.spec.build import Report, build
from pgwrap.spec.merge import Tree, flatten, join, with_defaults
from pgwrap.spec.problems import control_characters
from pgwrap.spec.reading import Reading, read
from pgwrap.spec.validation import validate

SYSTEM_SPEC = "/etc/pgwrap/pgwrap.yaml"
STATE = "/var/lib/pgwrap"
_NOT_FOUND_HINT = "write a first one with `pgwrap init`, or name it with --config"


def load(main: str | None, *, environment: Mapping[str, str], is_root: bool) -> Fleet:
    """The fleet that the spec describes.

    `main` is the file of `--config`; without it, the file is looked for as `find` says. Raises SpecError with every
    problem, in the order of the files; warnings come with the fleet.
    """
    return load_file(main or find(environment=environment, is_root=is_root))


def find(*, environment: Mapping[str, str], is_root: bool, system: str = SYSTEM_SPEC) -> str:
    """The main file: $PGWRAP_CONFIG, /etc/pgwrap/pgwrap.yaml, or the user's own unless root. SpecError without one."""
    stated = environment.get("PGWRAP_CONFIG")
    if stated:
        return stated
    places = (system,) if is_root else (system, *_own_places(environment))
    found = next((place for place in places if _stands(place)), None)
    if found is None:
        message = f"there is no spec: looked for {' and '.join(places)}"
        raise SpecError((Problem(message=message, hint=_NOT_FOUND_HINT),), hint=_NOT_FOUND_HINT)
    return found


def _own_places(environment: Mapping[str, str]) -> tuple[str, ...]:
    home = environment.get("HOME", "")
    configuration = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return (f"{configuration}/pgwrap/pgwrap.yaml",) if configuration.startswith("/") and (home or configuration) else ()


def _stands(place: str) -> bool:
    try:
        return Path(place).exists()
    except PermissionError:  # it may be there: reading it tells what is wrong
        return True


def load_file(main: str) -> Fleet:
    """The fleet of the spec whose main file this is; raises SpecError with every problem, warnings too."""
    reading = read(main)
    if not reading.sources:
        raise SpecError(reading.ordered())
    joined, problems = join(tuple(reading.sources))
    reading.problems.extend(problems)
    fleet = _fleet(flatten(with_defaults(joined)), reading)
    problems = reading.ordered()
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    return fleet


def _fleet(tree: Tree, reading: Reading) -> Fleet:
    validation = validate(tree)
    report = Report(tree, spoiled=validation.spoiled)
    built = build(validation.spec, report)
    reading.problems.extend((*control_characters(tree), *validation.problems, *report.problems))
    return Fleet(
        clusters=built.clusters,
        engines=built.engines,
        state=validation.spec.state or STATE,
        files=tuple(str(Path(name).absolute()) for name in reading.names),
        locations=tree.values,
        warnings=tuple(problem for problem in reading.ordered() if problem.severity != "error"),
    )
