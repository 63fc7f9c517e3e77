"""Facts become exactly the JSON that STATUS's consumers were promised."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pgwrap.domain.facts import Backup, FleetStatus, PostgresView, Severity, WalGap
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.present.encode import encode, rfc3339


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 11, 13, 36, tzinfo=UTC), "2026-11-22T11:13:36Z"),
        (datetime(2026, 11, 22, 11, 13, 36, 500000, tzinfo=UTC), "2026-11-22T11:13:36.5Z"),
        (datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T22:30:00Z"),
    ],
)
def test_a_moment_is_rfc_3339_in_utc_without_needless_fraction(moment: datetime, text: str) -> None:
    """Times carry a Z and as many digits of a fraction as they need."""
    assert text == rfc3339(moment)


def test_a_moment_without_a_zone_is_refused() -> None:
    """A naive time means a different moment on every machine."""
    with pytest.raises(ValueError, match="without a zone"):
        rfc3339(datetime(2026, 11, 22))  # noqa: DTZ001


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_round_trip(moment: datetime) -> None:
    """What is written reads back as the same moment."""
    assert moment == datetime.fromisoformat(rfc3339(moment))


def test_a_backup_has_the_names_of_the_contract(fleet: FleetStatus) -> None:
    """Positions are text, annotations an object, needs a list, enumerations their values."""
    backup = encode(fleet.clusters[0].backups[1])

    assert isinstance(backup, dict)
    assert backup["lsn_start"] == "0/29000028"
    assert backup["annotations"] == {"ticket": "OPS-7"}
    assert backup["needs"] == ["20261115-010002F"]
    verdict = {"kept": True, "reason": "inside the window of 14 days", "expires": None, "event": None}
    assert backup["retention"] == verdict
    assert backup["imported_from"] is None


def test_no_annotations_are_an_empty_object() -> None:
    """The type decides, not the value: an empty tuple of pairs is not a list."""
    data = encode(Backup(engine="barman", engine_name="a", id="1", repository=None, type="full", state="done"))

    assert isinstance(data, dict)
    assert data["annotations"] == {}
    assert data["needs"] == []


def test_a_gap_begins_at_from() -> None:
    """Python's `from_` is the contract's `from`."""
    gap = WalGap(
        repository=None,
        archive=None,
        engine="barman",
        engine_name="a",
        timeline=Timeline(1),
        from_="000000010000000000000031",
        to="000000010000000000000033",
        segments=3,
    )

    assert list(encode(gap)) == ["repository", "archive", "engine", "engine_name", "timeline", "from", "to", "segments"]  # type: ignore[arg-type]


def test_an_unreachable_server_is_an_object_with_its_error() -> None:
    """Unreachable differs from not asked, which is null."""
    data = encode(PostgresView(reachable=False, error="refused"))

    assert isinstance(data, dict)
    assert (data["reachable"], data["error"], data["version"]) == (False, "refused", None)


def test_a_cluster_has_its_keys_in_the_order_of_the_contract(fleet: FleetStatus) -> None:
    """Readers find the same thing in the same place."""
    expected = (
        "name engine engine_version engine_name severity read sources findings postgres running repositories backups "
        "wal recoverable retention objectives schedule last_drill moving"
    )

    assert expected.split() == list(encode(fleet.clusters[0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_hold_is_not_known(number: float) -> None:
    """NaN never reaches a reader."""
    assert encode(number) is None


@pytest.mark.parametrize(
    ("value", "data"), [(Severity.OK, "ok"), (Lsn(0x1_0000_0028), "1/28"), (True, True), ((1, "a"), [1, "a"])]
)
def test_plain_values(value: object, data: object) -> None:
    """Enumerations, positions, truths and tuples have one form each."""
    assert data == encode(value)


def test_a_value_of_an_unknown_kind_is_refused() -> None:
    """Nothing is written by its repr."""
    with pytest.raises(TypeError, match="object"):
        encode(object())


@settings(max_examples=40, phases=(Phase.explicit, Phase.reuse, Phase.generate), deadline=None)
@given(st.from_type(FleetStatus))
def test_every_fleet_is_json(fleet: FleetStatus) -> None:
    """Whatever the facts are, they are strict JSON, and reading gives the same data back."""
    data = encode(fleet)

    assert data == json.loads(json.dumps(data, allow_nan=False))
