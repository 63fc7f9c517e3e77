"""A limit counts for the versions that have it, and where the cluster meets it."""

from __future__ import annotations

import pytest

from pgwrap.engines.barman.limits import LIMITS as BARMAN_LIMITS
from pgwrap.engines.limits import Limit
from pgwrap.engines.pgbackrest.limits import LIMITS as PGBACKREST_LIMITS
from pgwrap.engines.port import EngineVersion
from tests.unit.engines.pgbackrest.pgbackrest_estates import BILLING


def limit(*, since: str | None = None, until: str | None = None, said: bool = True) -> Limit:
    """A limit of these versions."""
    return Limit(
        path=("run_as",),
        said=lambda _: said,
        severity="error",
        message="refused",
        since=None if since is None else EngineVersion.parse(since),
        until=None if until is None else EngineVersion.parse(until),
    )


@pytest.mark.parametrize(
    ("since", "until", "versions"),
    [
        (None, None, ["2.45", "2.50", "2.50.1", "2.59"]),
        ("2.50", None, ["2.50", "2.50.1", "2.59"]),
        (None, "2.50", ["2.45"]),
        ("2.50", "2.59", ["2.50", "2.50.1"]),
    ],
)
def test_a_limit_holds_from_its_first_version_to_before_the_one_without_it(
    since: str | None, until: str | None, versions: list[str]
) -> None:
    """`since` is in, `until` is out."""
    known = ("2.45", "2.50", "2.50.1", "2.59")
    found = limit(since=since, until=until)

    assert versions == [text for text in known if found.applies(BILLING, EngineVersion.parse(text))]


def test_a_limit_that_the_cluster_does_not_meet_is_silent() -> None:
    """Whatever the version."""
    assert not limit(said=False).applies(BILLING, EngineVersion.parse("2.45"))


def test_a_remark_stands_at_the_clusters_word() -> None:
    """So that it gets the line of the spec."""
    assert ("clusters", "billing", "run_as") == limit().remark(BILLING).path


@pytest.mark.parametrize("found", [*PGBACKREST_LIMITS, *BARMAN_LIMITS], ids=lambda found: ".".join(found.path))
def test_every_limit_says_why(found: Limit) -> None:
    """A word, a reason, and versions in their order."""
    assert found.path
    assert found.message
    assert found.since is None or found.until is None or found.since < found.until
