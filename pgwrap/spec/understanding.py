"""From the files that were read to the fleet they describe, or everything that is wrong with them. It reads no file."""

from __future__ import annotations

from pathlib import Path

from pgwrap.domain.model import Fleet
from pgwrap.errors import SpecError
from pgwrap.spec.build import Report, build
from pgwrap.spec.merge import Tree, flatten, join, with_defaults
from pgwrap.spec.problems import control_characters
from pgwrap.spec.reading import Reading
from pgwrap.spec.validation import validate


def understood(reading: Reading, *, default_state: str) -> Fleet:
    """The fleet; raises SpecError with every problem, warnings too."""
    joined, problems = join(tuple(reading.sources))
    reading.problems.extend(problems)
    fleet = _fleet(flatten(with_defaults(joined)), reading, default_state)
    problems = reading.ordered()
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    return fleet


def _fleet(tree: Tree, reading: Reading, default_state: str) -> Fleet:
    validation = validate(tree)
    report = Report(tree, spoiled=validation.spoiled)
    built = build(validation.spec, report)
    reading.problems.extend((*control_characters(tree), *validation.problems, *report.problems))
    return Fleet(
        clusters=built.clusters,
        engines=built.engines,
        state=validation.spec.state or default_state,
        files=tuple(str(Path(name).absolute()) for name in reading.names),
        locations=tree.values,
        warnings=tuple(problem for problem in reading.ordered() if problem.severity != "error"),
    )
