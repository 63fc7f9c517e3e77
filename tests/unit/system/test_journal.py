"""The journal: private, one for several writers, whole after a kill, and honest where it cannot be kept."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgwrap.errors import UsageError
from pgwrap.system.journal import CANARIES_KEPT, SqliteJournal
from pgwrap.system.port import DrillEntry, MigrationEntry, ScratchClaim, WrittenCanary

AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


def entry(number: int, cluster: str = "orders", **changes: object) -> DrillEntry:
    """A drill of a later minute for each number."""
    values: dict[str, object] = {
        "id": f"d{number}", "cluster": cluster, "started_at": AT + timedelta(minutes=number), "ended_at": None,
        "severity": "ok", "control": False, "aim": "newest", "repository": "local", "backup": "b",
        "report": {"id": f"d{number}"},
    }  # fmt: skip
    return DrillEntry(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    """One that is prepared."""
    made = SqliteJournal(state=str(tmp_path / "state"))
    assert not made.exists()
    made.prepare()
    return made


def test_what_was_put_comes_back_newest_first(journal: SqliteJournal) -> None:
    """By cluster, at most so many, and replaced under its id."""
    for number in (1, 3, 2):
        journal.put_drill(entry(number))
    journal.put_drill(entry(4, "billing"))
    ended = entry(2, ended_at=AT + timedelta(hours=1), severity="critical")
    journal.put_drill(ended)
    assert [entry(3), ended, entry(1)] == list(journal.drills("orders"))
    assert (entry(4, "billing"), entry(3)) == journal.drills(limit=2)


def test_only_its_owner_can_read_it(journal: SqliteJournal) -> None:
    """From its first byte on, whatever the umask."""
    assert 0o600 == stat.S_IMODE(Path(journal.path).stat().st_mode)


def test_claims_are_kept_until_released(journal: SqliteJournal) -> None:
    """Only with the right token."""
    claim = ScratchClaim(path="/var/tmp/x", token="1a2b", drill="d1")
    journal.claim(claim)
    journal.release(ScratchClaim(path="/var/tmp/x", token="other", drill="d1"))
    assert (claim,) == journal.claims()
    journal.release(claim)
    assert () == journal.claims()


def test_old_canaries_go(journal: SqliteJournal) -> None:
    """The newest stay, oldest first, and another cluster's are its own."""
    rows = [
        WrittenCanary(id=number, written_at=AT + timedelta(seconds=number), confirmed_at=AT, lsn="0/1")
        for number in range(3)
    ]
    for row in rows:
        journal.put_canary("orders", row)
    assert tuple(rows) == journal.canaries("orders")
    assert () == journal.canaries("billing")
    assert CANARIES_KEPT >= 3


def test_several_write_at_once(journal: SqliteJournal) -> None:
    """Each waits for its turn."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: journal.put_drill(entry(number)), range(24)))
    assert 24 == len(journal.drills())


def test_a_killed_writer_leaves_whole_entries(journal: SqliteJournal) -> None:
    """Killed while it writes without pause, again and again."""
    program = (
        "import sys, itertools\n"
        "from tests.unit.system.test_journal import entry\n"
        "from pgwrap.system.journal import SqliteJournal\n"
        f"journal = SqliteJournal(state={journal.state!r})\n"
        "for number in itertools.count(): journal.put_drill(entry(number, report={'text': 'x' * 9000})); print('.')\n"
    )
    for _ in range(3):
        writer = subprocess.Popen(
            (sys.executable, "-c", program),
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.02)
            writer.send_signal(signal.SIGKILL)
        kept = journal.drills()
        assert kept
        assert all(one.report == {"text": "x" * 9000} for one in kept)
        journal.put_canary("orders", WrittenCanary(id=1, written_at=AT, confirmed_at=AT, lsn="0/1"))


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """With the file's name and the way out."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(UsageError, match=r"journal\.sqlite cannot be used"):
        SqliteJournal(state=str(tmp_path / "state")).prepare()


def test_a_file_that_is_no_journal_is_said(tmp_path: Path) -> None:
    """It is neither replaced nor taken for an empty one."""
    (tmp_path / "journal.sqlite").write_text("something else entirely, and long enough to be read as a header" * 20)
    with pytest.raises(UsageError, match="not a database"):
        SqliteJournal(state=str(tmp_path)).drills()


def test_a_journal_of_a_newer_pgwrap_is_left_alone(journal: SqliteJournal) -> None:
    """Its version says so."""
    with sqlite3.connect(journal.path) as database:
        database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(UsageError, match="newer pgwrap"):
        journal.put_drill(entry(1))


def test_an_older_journal_is_brought_up(tmp_path: Path) -> None:
    """An empty file is version 0; reading alone changes nothing."""
    (tmp_path / "journal.sqlite").touch()
    journal = SqliteJournal(state=str(tmp_path))
    with pytest.raises(UsageError, match="is empty"):
        journal.drills()
    journal.prepare()
    assert () == journal.drills()


def test_a_journal_from_before_migrations_is_read_as_it_is(journal: SqliteJournal) -> None:
    """Its drills are there, and it knows of no migration; the next change brings it up."""
    journal.put_drill(entry(1))
    with sqlite3.connect(journal.path) as database:
        database.execute("drop table migration")
        database.execute("pragma user_version = 1")
    database.close()
    assert (entry(1),) == journal.drills()
    assert () == journal.migrations()
    moved = MigrationEntry(id="m", cluster="orders", began_at=AT, report={"a": 1})
    journal.put_migration(moved)
    assert (moved,) == journal.migrations("orders")
    assert () == journal.migrations("billing")
