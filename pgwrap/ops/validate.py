"""Is the spec sound, and can the engines do what it says? It reads nothing but versions and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgwrap.domain.model import Cluster, EngineInstance, Fleet
from pgwrap.engines.port import Remark
from pgwrap.errors import Location, Problem, SpecError
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, by_instance


def validate(fleet: Fleet, choices: Mapping[EngineInstance, VersionChoice], world: World) -> tuple[Problem, ...]:
    """Every problem and warning, in the order of the files; the engines' versions decide what is possible."""
    remarks = [
        remark
        for instance, clusters in by_instance(fleet.clusters).items()
        for remark in _review(clusters, choices[instance], world)
    ]
    remarks += _not_yet(fleet.clusters)
    return in_file_order((*fleet.warnings, *located(fleet, remarks)))


def _not_yet(clusters: tuple[Cluster, ...]) -> Iterable[Remark]:
    """Words that are pgwrap's own to act on, and that this version only reads."""
    for cluster in clusters:
        if cluster.schedule.entries:
            yield _ignored(
                cluster,
                "schedule",
                "installs no timers yet",
                "cron or systemd timers run the backups; `pgwrap eject` writes timers for them",
            )


def _ignored(cluster: Cluster, word: str, what: str, hint: str) -> Remark:
    message = f"read, but this version of pgwrap {what}"
    return Remark(path=(*cluster.spec_path, word), severity="warning", message=message, hint=hint)


def _review(clusters: tuple[Cluster, ...], choice: VersionChoice, world: World) -> Iterable[Remark]:
    engine = world.engine(clusters[0].engine)
    for cluster in clusters:
        yield from engine.review(cluster, choice.version)
    yield from engine.review_together(clusters, choice.version)


def located(fleet: Fleet, remarks: Iterable[Remark]) -> tuple[Problem, ...]:
    """Remarks as problems, each with the place in the spec that caused it, said once."""
    problems = (
        Problem(
            message=remark.message,
            location=fleet.locate(remark.path),
            path=".".join(remark.path),
            hint=remark.hint,
            severity=remark.severity,
        )
        for remark in remarks
    )
    return tuple(dict.fromkeys(problems))


def in_file_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by file, line and column; those without a place first."""
    return tuple(sorted(problems, key=lambda problem: problem.location or Location("", 0, 0)))


def require_sound(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The warnings among `problems`; SpecError with everything when one of them is an error."""
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(problems)
    return problems
