"""An import ends equivalent whenever it can, and says what differs where it cannot."""

from __future__ import annotations

from dataclasses import field

import pytest

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.model import EngineKind
from pgwrap.domain.moved import moved
from pgwrap.domain.native import Difference, Effective, NativeFile, Reading, View
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location, SpecError
from pgwrap.ops.importing import Imported, Source, Spec, adopt
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.spec.loader import load_text
from pgwrap.spec.writing import write
from pgwrap.system.files import LocalFiles

MAIN = "/etc/pgbackrest/pgbackrest.conf"
TEXT = "[global]\nrepo1-path=/r\nprocess-max=3\nstart-fast=y\n[m]\npg1-path=/x\n"
VERSION = EngineVersion.parse("2.55.1")


@dataclass(frozen=True)
class Mistaken(PgBackRest):
    """pgBackRest whose words for some options say something else."""

    wrong: dict[str, str] = field(default_factory=dict)

    def adopt(
        self, files: tuple[NativeFile, ...], version: EngineVersion, name: str, native: frozenset[str] = frozenset()
    ) -> Adoption:
        """Wrong unless the option is to stay native."""
        changed = [
            NativeFile(path=file.path, content=_changed(file.content, self.wrong, native), role=file.role)
            for file in files
        ]
        return super().adopt(tuple(changed), version, name, native)


def _changed(content: bytes, wrong: dict[str, str], native: frozenset[str]) -> bytes:
    lines = content.decode().splitlines()
    return "\n".join(
        f"{key}={wrong[key]}" if (key := line.partition("=")[0]) in wrong and key not in native else line
        for line in lines
    ).encode()


def importing(engine: PgBackRest, text: str = TEXT) -> Imported:
    """Import one file with an engine."""
    world = World(
        runner=None,  # type: ignore[arg-type]
        files=LocalFiles(),
        postgres=None,  # type: ignore[arg-type]
        programs=None,  # type: ignore[arg-type]
        secret=lambda secret: secret.value[0],
        masked=lambda secret: secret.value[0],
        engines={EngineKind.PGBACKREST: lambda: engine},
    )
    files = (NativeFile(path=MAIN, content=text.encode()),)
    source = Source(kind=EngineKind.PGBACKREST, files=files, version=VERSION)
    return adopt((source,), Spec(write=write, understand=lambda written: load_text(written, "spec")), world)


def test_words_that_say_the_same_are_kept() -> None:
    """And every option was compared."""
    found = importing(PgBackRest())
    assert found.equivalent
    assert found.proofs[0].options > 50
    assert "parallel: 3" in found.spec.text


def test_a_word_that_makes_a_difference_gives_way_to_the_option() -> None:
    """That one alone."""
    found = importing(Mistaken(wrong={"process-max": "4"}))
    assert found.equivalent
    assert "process-max: 3" in found.spec.text
    assert "checkpoint: fast" in found.spec.text


def test_a_difference_that_stays_is_told_with_its_place() -> None:
    """The import is not equivalent then."""
    found = importing(_Stubborn(wrong={"process-max": "4"}))
    assert not found.equivalent
    (difference,) = found.proofs[0].differences
    assert (difference.subject, difference.option) == ("m", "process-max")
    assert difference.before is not None
    assert difference.before.place == Location(MAIN, 3, 1)
    assert difference.after is not None
    assert difference.after.values == ("4",)


@dataclass(frozen=True)
class _Stubborn(Mistaken):
    """It is wrong natively, too."""

    def adopt(
        self,
        files: tuple[NativeFile, ...],
        version: EngineVersion,
        name: str,
        native: frozenset[str] = frozenset(),
    ) -> Adoption:
        return super().adopt(files, version, name)


def test_all_reasons_of_a_refusal_come_at_once() -> None:
    """Each with its place."""
    with pytest.raises(SpecError) as caught:
        importing(PgBackRest(), "[m]\nprocess-max=x\nstart-fast=z\n")
    assert len(caught.value.problems) == 3
    assert all(problem.location is not None for problem in caught.value.problems)


def option(value: str, *, written: bool = False) -> Effective:
    """A value, a default unless written."""
    return Effective(values=(value,), place=Location(MAIN, 1, 1) if written else None)


def reading(path: str | None) -> Reading:
    """[global] with the default path, and a stanza with its own."""
    options = {} if path is None else {"repo1-path": option(path, written=True)}
    return Reading(
        views=(
            View(subject="", command="info", options={"repo1-path": option("/var/lib/pgbackrest")}),
            View(subject="m", command="info", options=options),
        )
    )


def test_what_every_stanza_says_may_move_to_global() -> None:
    """It is told, and is no difference; what [global] itself said may not change."""
    difference = Difference(
        subject="",
        option="repo1-path",
        before=option("/var/lib/pgbackrest"),
        after=option("/r", written=True),
        commands=("info",),
    )
    assert moved(difference, reading("/r")) is not None
    assert moved(difference, reading("/s")) is None
    assert moved(difference, reading(None)) is None
    said = Difference(
        subject="",
        option="repo1-path",
        before=option("/a", written=True),
        after=option("/r", written=True),
        commands=("info",),
    )
    assert moved(said, reading("/r")) is None
