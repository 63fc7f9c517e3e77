"""One engine's trial: plant all cases, ask pgwrap once, let the engine expire, judge. It prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from integration.oracle import barman, barman_cases, pgbackrest, pgbackrest_cases
from integration.oracle.cases import Policy
from integration.oracle.estate import Deeds, Estate
from integration.oracle.judge import Deed, Mismatch, foretold, mismatches
from integration.oracle.originals import Originals, can_do_incrementals


class AnyCase(Protocol):
    """What the judge must know of a case."""

    @property
    def number(self) -> int:
        """Its number."""
        ...

    @property
    def policy(self) -> Policy:
        """What its cluster says in the spec."""
        ...


CaseT = TypeVar("CaseT", bound=AnyCase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Half(Generic[CaseT]):
    """What one engine's half of the oracle can do."""

    engine: str
    product: str
    make: Callable[[Estate, int, int], CaseT]
    name_of: Callable[[CaseT], str]
    write_spec: Callable[[Estate, Sequence[CaseT], Originals], None]
    plant: Callable[[Estate, Sequence[CaseT], Originals], None]
    expire: Callable[[Estate, Sequence[CaseT]], Deeds]

    def trial(self, estate: Estate, originals: Originals, seed: int, numbers: Sequence[int]) -> Trial:
        """Everything, for these cases."""
        cases = [self.make(estate, seed, number) for number in numbers]
        self.write_spec(estate, cases, originals)
        (estate.room.path / "state").mkdir(mode=0o755)
        estate.render()
        self.plant(estate, cases, originals)
        told = estate.foretell()
        deeds = self.expire(estate, cases)
        return Trial(verdicts=tuple(_verdict(case, told[self.name_of(case)], deeds) for case in cases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A case, and in what forecast and deed differ, by repository."""

    case: AnyCase
    mismatches: Mapping[str, tuple[Mismatch, ...]]

    @property
    def agrees(self) -> bool:
        """Whether they differ nowhere."""
        return not any(self.mismatches.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came out for all cases of an engine."""

    verdicts: tuple[Verdict, ...]

    @property
    def agreeing(self) -> int:
        """In how many cases forecast and deed agree."""
        return sum(verdict.agrees for verdict in self.verdicts)


def _verdict(case: AnyCase, cluster: Mapping[str, Any], deeds: Deeds) -> Verdict:
    told = {_name(repository): repository for repository in cluster["repositories"]}
    own = {repository: deed for (name, repository), deed in deeds.items() if name == cluster["name"]}
    return Verdict(
        case=case, mismatches={name: _of_repository(told.get(name), deed, cluster) for name, deed in own.items()}
    )


def _name(repository: Mapping[str, Any]) -> str:
    """Barman has one, and no name for it."""
    return barman.REPOSITORY if repository["engine"] == barman.ENGINE else str(repository["repository"])


def _of_repository(
    repository: Mapping[str, Any] | None, deed: Deed, cluster: Mapping[str, Any]
) -> tuple[Mismatch, ...]:
    if repository is None:
        if deed.before == deed.after and not deed.before.backups:
            return ()
        told = f"nothing at all; findings: {[finding['message'] for finding in cluster['findings']]}"
        return (Mismatch(what="the repository", foretold=told, was=f"{len(deed.before.backups)} backups"),)
    return tuple(mismatches(foretold(repository), deed))


PGBACKREST = Half(
    engine=pgbackrest.ENGINE,
    product=pgbackrest.PRODUCT,
    make=lambda estate, seed, number: pgbackrest_cases.case(seed, number, estate.clock.zone),
    name_of=pgbackrest.name_of,
    write_spec=pgbackrest.write_spec,
    plant=pgbackrest.plant,
    expire=pgbackrest.expire,
)
BARMAN = Half(
    engine=barman.ENGINE,
    product=barman.PRODUCT,
    make=lambda estate, seed, number: barman_cases.case(
        seed, number, estate.clock.zone, incrementals=can_do_incrementals(estate.machine)
    ),
    name_of=barman.name_of,
    write_spec=barman.write_spec,
    plant=barman.plant,
    expire=barman.expire,
)
