"""Where a carried backup came from: written as annotations and read back, whatever became of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.facts import Backup
from pgwrap.domain.restoring import Tablespace
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.engines.pgbackrest.carried import Carried, annotations_for, provenance

_ORIGINAL = Backup(
    engine="barman",
    engine_name="orders",
    id="20261122T101500",
    repository=None,
    type="full",
    state="done",
    started_at=datetime(2026, 11, 22, 10, 15, 0, 123456, tzinfo=UTC),
    stopped_at=datetime(2026, 11, 22, 10, 15, 7, tzinfo=UTC),
    lsn_start=Lsn.parse("0/3000028"),
    lsn_stop=Lsn.parse("0/3000138"),
    wal_start="000000010000000000000003",
    wal_stop="000000010000000000000003",
    timeline=Timeline(1),
)
_SPACE = Tablespace(name="fast disks", oid=16384, location="/srv/fäst")
_WRITTEN = (
    ("carried-engine", "barman"),
    ("carried-server", "orders"),
    ("carried-id", "20261122T101500"),
    ("carried-start", "2026-11-22T10:15:00.123456Z"),
    ("carried-stop", "2026-11-22T10:15:07.000000Z"),
    ("carried-lsn-start", "0/3000028"),
    ("carried-lsn-stop", "0/3000138"),
    ("carried-wal-start", "000000010000000000000003"),
    ("carried-wal-stop", "000000010000000000000003"),
    ("carried-timeline", "1"),
    ("carried-tablespaces", '[[16384, "fast disks", "/srv/f\\u00e4st"]]'),
)

_names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1)
_moments = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]),
)
_lsns = st.integers(0, (1 << 64) - 1).map(Lsn)
_segments = st.integers(0, (1 << 96) - 1).map(lambda number: f"{number:024X}")
_tablespaces = st.lists(
    st.builds(Tablespace, name=st.text(), oid=st.integers(1, (1 << 32) - 1), location=st.text())
).map(tuple)


@st.composite
def _backups(draw: st.DrawFn) -> Backup:
    moments = sorted(draw(st.tuples(_moments, _moments)))
    return Backup(
        engine="barman",
        engine_name=draw(_names),
        id=draw(_names),
        repository=None,
        type="full",
        state="done",
        started_at=draw(st.sampled_from([moments[0], None])),
        stopped_at=draw(st.sampled_from([moments[1], None])),
        lsn_start=draw(st.none() | _lsns),
        lsn_stop=draw(st.none() | _lsns),
        wal_start=draw(st.none() | _segments),
        wal_stop=draw(st.none() | _segments),
        timeline=draw(st.none() | st.integers(1, (1 << 32) - 1).map(Timeline)),
    )


def test_a_backup_is_told_in_these_words() -> None:
    """The annotations are a contract between who writes and who reads a repository, perhaps years apart."""
    assert annotations_for(_ORIGINAL, [_SPACE]) == _WRITTEN


@given(_backups(), _tablespaces)
def test_what_is_written_is_read_back(backup: Backup, tablespaces: tuple[Tablespace, ...]) -> None:
    """Every value comes back as it was, and what was not known stays so."""
    assert provenance((("owner", "ops"), *annotations_for(backup, tablespaces))) == Carried(
        engine=backup.engine,
        server=backup.engine_name,
        id=backup.id,
        started_at=backup.started_at,
        stopped_at=backup.stopped_at,
        lsn_start=backup.lsn_start,
        lsn_stop=backup.lsn_stop,
        wal_start=backup.wal_start,
        wal_stop=backup.wal_stop,
        timeline=backup.timeline,
        tablespaces=tablespaces,
    )


def test_other_annotations_tell_of_no_original() -> None:
    """A backup that nobody carried has no provenance, whatever else is noted of it."""
    assert provenance((("owner", "ops"), ("ticket", "OPS-1"))) is None
    assert provenance(()) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("carried-engine", "pgbarman"),
        ("carried-server", " "),
        ("carried-id", "20261122T\n101500"),
        ("carried-start", "2026-11-22 10:15"),
        ("carried-start", "2026-02-30T10:15:00.000000Z"),
        ("carried-stop", "٢٠٢٦-11-22T10:15:00.000000Z"),
        ("carried-stop", "2026-11-22T10:15:07.000000+02:00"),
        ("carried-lsn-start", "3000028"),
        ("carried-lsn-stop", "0/G"),
        ("carried-wal-start", "000000010000000000000003.partial"),
        ("carried-wal-stop", "00000001000000000000000"),
        ("carried-timeline", "0"),
        ("carried-timeline", "4294967296"),
        ("carried-tablespaces", "[[16384, "),
        ("carried-tablespaces", "{}"),
        ("carried-tablespaces", '[["16384", "ts", "/srv"]]'),
        ("carried-tablespaces", "[" * 100_000),
    ],
)
def test_a_damaged_value_is_named_and_nothing_is_concluded_from_it(key: str, value: str) -> None:
    """The others count all the same."""
    found = provenance(tuple((name, value if name == key else text) for name, text in _WRITTEN))
    assert found is not None
    assert found.damaged == (key,)
    names = {"start": "started_at", "stop": "stopped_at"}
    word = key.removeprefix("carried-")
    assert getattr(found, names.get(word, word.replace("-", "_"))) is None


def test_a_backup_that_ended_before_it_began_has_no_times() -> None:
    """Which of the two is wrong cannot be told."""
    found = provenance((*_WRITTEN[:4], ("carried-stop", "2026-11-22T10:14:00.000000Z")))
    assert found is not None
    assert (found.started_at, found.stopped_at) == (None, None)
    assert found.damaged == ("carried-start", "carried-stop")


@given(st.lists(st.tuples(st.sampled_from([key for key, _ in _WRITTEN]), st.text() | st.from_regex(r"\d{1,40}"))))
def test_no_value_ends_in_an_error(annotations: list[tuple[str, str]]) -> None:
    """Annotations can be changed by anybody with `pgbackrest annotate`."""
    provenance(annotations)
