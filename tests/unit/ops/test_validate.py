"""What `validate` adds to the remarks of engines: their place in the spec, their order, what pgwrap does not do yet."""

from __future__ import annotations

import pytest

from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, Schedule
from pgwrap.engines.port import EngineVersion, Remark
from pgwrap.errors import Location, Problem, SpecError
from pgwrap.ops.validate import require_sound, validate
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World

INSTANCE = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/p.conf")
CHOICES = {INSTANCE: VersionChoice(version=EngineVersion((2, 45)))}


class Reviewer:
    """An engine with a remark on every cluster's backup, and one on all together."""

    def review(self, cluster: Cluster, version: EngineVersion) -> tuple[Remark, ...]:
        return (Remark(path=(*cluster.spec_path, "backup", "from"), severity="warning", message=f"since {version}"),)

    def review_together(self, clusters: tuple[Cluster, ...], version: EngineVersion) -> tuple[Remark, ...]:
        return (Remark(path=clusters[0].spec_path, severity="error", message="a clash"),)


def problems(cluster: Cluster) -> tuple[Problem, ...]:
    """What is said of a spec with this cluster."""
    places = {("clusters", "a"): Location("s.yaml", 3, 3), ("clusters", "a", "backup"): Location("s.yaml", 9, 5)}
    fleet = Fleet(
        clusters=(cluster,), locations=places, warnings=(Problem(message="w", location=Location("s.yaml", 5, 1)),)
    )
    world = World(
        runner=None,  # type: ignore[arg-type]
        files=None,  # type: ignore[arg-type]
        postgres=None,  # type: ignore[arg-type]
        programs=None,  # type: ignore[arg-type]
        secret=None,  # type: ignore[arg-type]
        masked=None,  # type: ignore[arg-type]
        engines={EngineKind.PGBACKREST: Reviewer},  # type: ignore[dict-item]
    )
    return validate(fleet, CHOICES, world)


def test_every_remark_has_its_place_and_the_files_order_is_kept() -> None:
    """A word that was not written down itself is placed at the nearest thing around it."""
    told = [(str(one.location), one.severity, one.message) for one in problems(cluster())]
    assert told == [
        ("s.yaml:3:3", "error", "a clash"),
        ("s.yaml:5:1", "error", "w"),
        ("s.yaml:9:5", "warning", "since 2.45"),
    ]


def test_a_word_that_is_only_read_is_said_to_be() -> None:
    """Nobody may believe that pgwrap schedules when it does not."""
    scheduled = cluster(schedule=Schedule(entries=(("full", "Sun 01:00"),)))
    (told,) = (one for one in problems(scheduled) if one.path == "clusters.a.schedule")
    assert told.severity == "warning"
    assert told.message.startswith("read, but this version of pgwrap")


def test_one_error_refuses_everything_with_all_that_is_wrong() -> None:
    """Warnings come along, so that one run tells all."""
    found = problems(cluster())
    with pytest.raises(SpecError) as caught:
        require_sound(found)
    assert caught.value.problems == found


def test_warnings_alone_are_sound() -> None:
    """A warning stops nothing."""
    warning = Problem(message="m", severity="warning")
    assert require_sound((warning,)) == (warning,)


def cluster(**fields: object) -> Cluster:
    """The cluster `a`."""
    return Cluster(name="a", engine=INSTANCE, engine_name="a", **fields)  # type: ignore[arg-type]
