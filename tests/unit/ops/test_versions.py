"""Which version of an engine is written for: the named one, the installed one, or the newest known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pgwrap.domain.command import Conversation
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineMissing, EngineUnsupported, UsageError
from pgwrap.ops.versions import choose, parse_named
from pgwrap.ops.world import World

INSTANCE = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/p.conf")
CLUSTER = Cluster(name="a", engine=INSTANCE, engine_name="a", run_as="postgres")
BOTH = frozenset(EngineKind)
OLDEST = EngineVersion((2, 45))
NEWEST = EngineVersion((2, 60, 0))


def version(text: str) -> EngineVersion:
    """A version by its text."""
    return EngineVersion.parse(text)


@dataclass
class Installed:
    """An engine that is installed in one version, or not at all."""

    text: str | None
    oldest: EngineVersion = OLDEST
    newest: EngineVersion = NEWEST

    def default_user(self, cluster: Cluster) -> str | None:
        return None

    def version(self, instance: EngineInstance, run_as: str | None) -> Conversation[EngineVersion]:
        if self.text is None:
            raise EngineMissing("pgbackrest was not found on PATH")
        yield ()
        return version(self.text)


class Silent:
    """A runner with nothing to run."""

    def run_all(self, commands: tuple[()]) -> tuple[()]:
        return commands


def world(engine: Installed) -> World:
    """A world whose only engine this is."""
    return World(
        runner=Silent(),  # type: ignore[arg-type]
        files=None,  # type: ignore[arg-type]
        postgres=None,  # type: ignore[arg-type]
        programs=None,  # type: ignore[arg-type]
        secret=None,  # type: ignore[arg-type]
        masked=None,  # type: ignore[arg-type]
        engines={EngineKind.PGBACKREST: lambda: engine},  # type: ignore[dict-item]
    )


def choice(
    engine: Installed, named: dict[EngineKind, EngineVersion] | None = None, *, ask: bool = True
) -> tuple[str, str]:
    """The version chosen and what is said of it."""
    chosen = choose((CLUSTER,), named or {}, world(engine), ask=ask)[INSTANCE]
    return str(chosen.version), chosen.note


def test_the_installed_version_is_taken_without_a_word() -> None:
    """What is installed decides."""
    assert ("2.55.1", "") == choice(Installed("2.55.1"))


def test_a_named_version_wins() -> None:
    """`--engine-version` writes for another machine."""
    assert ("2.50", "") == choice(Installed("2.55.1"), {EngineKind.PGBACKREST: version("2.50")})


def test_an_engine_that_cannot_be_asked_is_taken_for_the_newest_and_it_is_said() -> None:
    """Rendering for another machine works without the engine here, but never silently."""
    chosen, note = choice(Installed(None))
    assert chosen == "2.60.0"
    assert "was not found on PATH" in note
    assert "--engine-version pgbackrest=VERSION" in note


def test_offline_asks_nothing_and_says_what_it_took() -> None:
    """`--offline` checks against the newest known version."""
    assert ("2.60.0", "pgbackrest: checked against 2.60.0, the newest known version") == choice(
        Installed("2.45"), ask=False
    )


def test_a_newer_version_than_known_works_with_a_note() -> None:
    """A release after pgwrap's own is not refused."""
    chosen, note = choice(Installed("2.61.0"))
    assert chosen == "2.61.0"
    assert "newer than 2.60.0" in note


def test_an_older_version_than_known_is_refused() -> None:
    """What pgwrap was never tested with is said so, with the way out."""
    with pytest.raises(EngineUnsupported, match=r"2\.44 is older than 2\.45"):
        choice(Installed("2.44"))


def test_versions_are_named_by_engine() -> None:
    """Both engines can be named at once."""
    assert {EngineKind.PGBACKREST: version("2.50"), EngineKind.BARMAN: version("3.10.1")} == parse_named(
        ("pgbackrest=2.50", "barman=3.10.1"), BOTH
    )


def test_a_bare_version_is_enough_for_one_engine() -> None:
    """Nobody has to name the only engine in use."""
    assert {EngineKind.BARMAN: version("3.13.3")} == parse_named(("3.13.3",), frozenset({EngineKind.BARMAN}))


@pytest.mark.parametrize("text", ["2.50", "walg=1.0", "barman=", "barman=new"])
def test_an_unclear_version_is_a_usage_error(text: str) -> None:
    """What cannot be read is refused with an example."""
    with pytest.raises(UsageError):
        parse_named((text,), BOTH)
