"""What the spec's policy does to carried backups, beside the cluster's own, and by which commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.facts import Backup, BackupRetention
from pgwrap.domain.model import RetentionPolicy
from pgwrap.domain.retention import Forecast, next_step
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.pgbackrest.carried_expiry import LAST, Shelves, carried_expiry
from pgwrap.engines.pgbackrest.expiring import announced
from pgwrap.engines.pgbackrest.expiry import Policy
from pgwrap.engines.port import EngineVersion, ExpiryJob, ExpiryRequest, ForecastRequest
from pgwrap.errors import EngineFailed
from tests.unit.engines.pgbackrest.pgbackrest_fleet import outcome, recorded
from tests.unit.engines.pgbackrest.test_pgbackrest_history import (
    FULL,
    HISTORY,
    INCREMENTAL,
    OLD,
    ORDERS,
    OWN,
    a_world,
    look,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WINDOW = Policy(full=7, by_time=True)
VERSION = EngineVersion((2, 45))


def a_backup(label: str, days_ago: float | None, *, of: str | None = None, stanza: str = HISTORY) -> Backup:
    """A backup that ended so long ago; `of` what it builds on."""
    return Backup(
        engine="pgbackrest",
        engine_name=stanza,
        id=label,
        repository="local",
        type="full" if of is None else "incremental",
        state="done",
        stopped_at=None if days_ago is None else NOW - timedelta(days=days_ago),
        parent=of,
        needs=() if of is None else (of,),
    )


def judged(
    *carried: Backup, own: tuple[Backup, ...] = (), policy: Policy = WINDOW, minimum: int = 0, broken: str = ""
) -> Mapping[str, BackupRetention]:
    """The fate of each carried backup; `broken` is no way to anywhere."""
    whole = frozenset(one.id for one in (*carried, *own) if one.id != broken)
    return carried_expiry(Shelves(carried=carried, own=own, whole=whole, minimum_full=minimum), policy, NOW)


def kept(verdicts: Mapping[str, BackupRetention]) -> list[str]:
    """The ids of those that stay."""
    return [id_ for id_, verdict in verdicts.items() if verdict.kept]


FOUR = (a_backup("A", 30), a_backup("B", 20), a_backup("C", 10), a_backup("D", 3))


def test_the_window_is_reached_from_the_newest_before_it() -> None:
    """What is older goes, and says who deletes it."""
    verdicts = judged(*FOUR)
    assert kept(verdicts) == ["C", "D"]
    assert "needed to reach its start" in verdicts["C"].reason
    assert verdicts["B"].reason.endswith("only `pgwrap expire` deletes it")
    assert verdicts["C"].expires == NOW + timedelta(days=4, seconds=1)
    assert (verdicts["D"].expires, verdicts["D"].event) == (None, "7 days after the next backup has ended")


def test_the_clusters_own_backup_takes_its_place() -> None:
    """Once that reaches back to the window's start, no carried one from before is needed."""
    own = (a_backup("L", 8, stanza="orders"),)
    verdicts = judged(*FOUR, own=own)
    assert kept(verdicts) == ["D"]
    assert verdicts["D"].expires is None
    assert "older than L" in verdicts["C"].reason
    young = judged(*FOUR, own=(a_backup("L", 2, stanza="orders"),))
    assert kept(young) == ["C", "D"]
    assert young["D"].expires == NOW + timedelta(days=5, seconds=1)


def test_a_backup_that_leads_nowhere_reaches_nothing() -> None:
    """Without its WAL it cannot stand for an older one that has its own."""
    assert kept(judged(*FOUR, broken="C")) == ["B", "C", "D"]


def test_exactly_at_the_edge_is_before_the_window() -> None:
    """A backup that ended just then reaches every moment of it."""
    assert kept(judged(a_backup("A", 8), a_backup("B", 7), a_backup("C", 6.9))) == ["B", "C"]


def test_what_is_needed_stays() -> None:
    """An incremental backup in the window keeps what it builds on, and nothing else."""
    verdicts = judged(
        a_backup("A", 30), a_backup("B", 20), a_backup("C", 9, of="B"), a_backup("D", 8, of="B"), a_backup("E", 3)
    )
    assert kept(verdicts) == ["B", "D", "E"]
    assert verdicts["B"].reason == "kept as long as D, which builds on it"
    assert verdicts["B"].expires == verdicts["D"].expires


def test_a_number_counts_carried_and_own_together() -> None:
    """By when they ended; what builds on a full one goes with it."""
    carried = (a_backup("A", 30), a_backup("B", 29, of="A"), a_backup("C", 20), a_backup("D", 10))
    own = (a_backup("L", 2, stanza="orders"),)
    verdicts = judged(*carried, own=own, policy=Policy(full=3))
    assert kept(verdicts) == ["C", "D"]
    assert (verdicts["C"].event, verdicts["D"].event) == ("after 1 more full backup", "after 2 more full backups")
    assert verdicts["B"].reason.startswith("it goes with A")


@pytest.mark.parametrize("policy", [Policy(full=1), WINDOW])
def test_minimum_full_is_kept(policy: Policy) -> None:
    """Whatever the rule lets go."""
    own = (a_backup("L", 9, stanza="orders"),)
    verdicts = judged(a_backup("A", 30), a_backup("B", 20), a_backup("C", 10), own=own, policy=policy, minimum=3)
    assert kept(verdicts) == ["B", "C"]
    assert "minimum_full" in verdicts["B"].reason


@pytest.mark.parametrize("policy", [Policy(), Policy(full=9_999_999), Policy(full=9_999_999, by_time=True)])
def test_without_a_policy_all_is_kept(policy: Policy) -> None:
    """Nothing is deleted that nobody asked to delete."""
    assert len(kept(judged(*FOUR, policy=policy))) == len(FOUR)


def test_the_last_full_backup_cannot_go() -> None:
    """pgBackRest refuses to; what builds on it goes all the same."""
    own = (a_backup("L", 8, stanza="orders"),)
    verdicts = judged(a_backup("A", 30), a_backup("B", 20), a_backup("C", 19, of="B"), own=own)
    assert kept(verdicts) == ["B"]
    assert LAST in verdicts["B"].reason


def test_a_backup_of_unknown_age_stays() -> None:
    """With what it builds on."""
    verdicts = judged(a_backup("A", 30), a_backup("B", None, of="A"), a_backup("C", 10))
    assert kept(verdicts) == ["A", "B", "C"]
    assert "not known" in verdicts["B"].reason


_ages = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=8)


@given(_ages, st.lists(st.integers(0, 12), max_size=3), st.integers(1, 15), st.integers(0, 3))
def test_the_window_stays_within_reach(
    made: list[tuple[int, bool]], own_ages: list[int], days: int, minimum: int
) -> None:
    """No chain is cut, a full backup is left, and what could be reached of the window still can."""
    carried: list[Backup] = []
    for place, (age, full) in enumerate(sorted(made, reverse=True)):
        of = None if full or not carried else carried[-1].id
        carried.append(a_backup(f"{place:02}", age, of=of))
    own = tuple(a_backup(f"L{age:02}", age, stanza="orders") for age in own_ages)
    verdicts = judged(*carried, own=own, policy=Policy(full=days, by_time=True), minimum=minimum)
    staying = {backup.id for backup in carried if verdicts[backup.id].kept}
    assert all(backup.parent in staying for backup in carried if backup.id in staying and backup.parent)
    assert any(backup.type == "full" for backup in carried if backup.id in staying)
    edge = NOW - timedelta(days=days)
    before = max(
        (one.stopped_at for one in (*carried, *own) if one.stopped_at and one.stopped_at <= edge), default=None
    )
    left = (*own, *(one for one in carried if one.id in staying))
    assert before is None or any(one.stopped_at == before for one in left)


# From a real catalog


def foretold(policy: RetentionPolicy, days_later: int) -> Forecast:
    """The forecast for the recorded catalog, so long after it was recorded."""
    observation, _ = look(a_world())
    request = ForecastRequest(
        cluster=replace(ORDERS, retention=policy),
        observation=observation,
        version=VERSION,
        now=NOW + timedelta(days=days_later, hours=1),
        hypothetical=True,
    )
    (forecast,) = PgBackRest().forecast(request)
    return forecast


def expiring(forecast: Forecast) -> ExpiryJob:
    """How that is done."""
    return PgBackRest().expiry(ExpiryRequest(cluster=ORDERS, forecasts=(forecast,), version=VERSION))


def test_the_forecast_tells_both_by_their_own_rules() -> None:
    """pgBackRest never takes a carried backup, nor counts it; its WAL stays."""
    forecast = foretold(RetentionPolicy(full=1), 0)
    fates = {fate.id: fate for fate in forecast.backups}
    assert list(fates) == [FULL, INCREMENTAL, OWN]
    assert [fate.kept for fate in fates.values()] == [True, False, True]
    assert [fate.engine_name for fate in fates.values()] == [HISTORY, HISTORY, None]
    assert forecast.wal is not None
    assert {fate.kept for fate in forecast.wal if fate.archive == f"{HISTORY}/15-1"} == {True}
    assert next_step([forecast]) == f"{INCREMENTAL} at the next run of pgwrap expire"


def test_each_carried_backup_has_a_command_of_its_own() -> None:
    """Rehearsed first, by name; with a retention that lets nothing else go."""
    job = expiring(foretold(RetentionPolicy(full=1), 0))
    assert [step.backups for step in job.steps] == [(), (INCREMENTAL,)]  # WAL of the cluster's own goes, too
    words = job.steps[1].command.argv
    assert {f"--stanza={HISTORY}", "--repo=1", f"--set={INCREMENTAL}", "--repo1-retention-archive=9999999"} < set(words)
    assert [rehearsal.command.argv[2] for rehearsal in job.rehearsals] == ["--stanza=orders", f"--stanza={HISTORY}"]
    assert "goes only with its whole stanza" in job.notes[0]
    assert f"--stanza={HISTORY} --repo=1 --pg1-path=/nowhere stanza-delete" in job.notes[1]


def test_what_builds_on_a_backup_goes_before_it() -> None:
    """The oldest full one first; pgBackRest would take all of its chain at once, and then miss what it was told of."""
    forecast = foretold(RetentionPolicy(window_days=1), 0)
    template = next(fate for fate in forecast.backups if fate.id == FULL)
    labels = ("20250101-000000F", "20250101-000000F_20250102-000000I", "20250101-000000F_20250103-000000I")
    fates = tuple(replace(template, id=label, kept=False, needs=labels[:1] if "_" in label else ()) for label in labels)
    job = expiring(replace(forecast, backups=(*fates, replace(template, kept=False))))
    assert [step.backups for step in job.steps] == [(labels[2],), (labels[1],), (labels[0],), (FULL,)]
    rehearsed = [word for one in job.rehearsals for word in one.command.argv if word.startswith("--set")]
    assert rehearsed == [f"--set={labels[0]}", f"--set={FULL}"]


def test_the_rehearsal_of_a_carried_backup_is_understood() -> None:
    """As 2.45 said it; of the last full backup it says that it will not."""
    (_, rehearsal) = expiring(foretold(RetentionPolicy(full=1), 0)).rehearsals
    said = announced("orders", outcome(rehearsal.command, recorded(OLD, "expire_carried_dry.out")))
    assert (said.backups, said.wal, said.whole_archives) == (frozenset({INCREMENTAL}), (), frozenset())
    with pytest.raises(EngineFailed):
        announced("orders", outcome(rehearsal.command, recorded(OLD, "expire_carried_last.out"), exit_code=104))
