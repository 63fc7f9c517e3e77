"""How `pgwrap retention` and `pgwrap expire` look, and that their JSON obeys its schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft202012Validator

from pgwrap.domain.facts import Finding, FindingCode, RecoverableInterval, Severity
from pgwrap.domain.retention import (
    BackupFate,
    ClusterExpiry,
    ClusterRetention,
    FleetExpiry,
    FleetRetention,
    Forecast,
    RepositoryExpiry,
    WalFate,
    WhatIf,
    calendar,
    differences,
    next_step,
)
from pgwrap.domain.wal import Timeline
from pgwrap.errors import Busy
from pgwrap.present.expiry import expiry_json, expiry_text
from pgwrap.present.presentation import Presentation
from pgwrap.present.retention import FORMATS
from pgwrap.present.schema import retention_schema

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def fate(id_: str, *, kept: bool | None, needs: tuple[str, ...] = (), **words: object) -> BackupFate:
    """A backup with its verdict."""
    values: dict[str, object] = {
        "id": id_, "type": "incremental" if needs else "full", "state": "done", "started_at": EPOCH,
        "stopped_at": EPOCH, "bytes": 1 << 20, "held": False, "needs": needs, "kept": kept,
        "reason": "because", "expires": None, "event": None,
    }  # fmt: skip
    return BackupFate(**(values | words))  # type: ignore[arg-type]


def forecast(*fates: BackupFate, wal: tuple[WalFate, ...] | None = (), **words: object) -> Forecast:
    """A repository's forecast."""
    values: dict[str, object] = {
        "repository": "local", "engine": "pgbackrest", "engine_name": "orders", "policy": "2 full backups",
        "native": (("repo1-retention-full", "2"),), "enforced_by": "pgbackrest expire, after each backup",
        "backups": fates, "wal": wal,
    }  # fmt: skip
    return Forecast(**(values | words))  # type: ignore[arg-type]


def run_of_wal(first: int, last: int, *, kept: bool) -> WalFate:
    """A run of segments."""
    return WalFate(
        archive="15-1", timeline=Timeline(1), from_=f"{1:08X}{0:08X}{first:08X}", to=f"{1:08X}{0:08X}{last:08X}",
        segments=last - first + 1, kept=kept, reason="kept for it" if kept else "older than all",
    )  # fmt: skip


TODAY = forecast(
    fate("F1", kept=False),
    fate("F1_I1", kept=False, needs=("F1",)),
    fate("F2", kept=True, event="after 1 more full backup"),
    fate("F2_I1", kept=True, needs=("F2",), event="after 1 more full backup"),
    fate("F2_D1", kept=True, needs=("F2",), event="after 2 more full or differential backups, or with F2"),
    fate("F3", kept=True, expires=EPOCH + timedelta(days=9), bytes=None),
    wal=(run_of_wal(1, 9, kept=False), run_of_wal(10, 20, kept=True)),
)
INSTEAD = forecast(
    fate("F1", kept=True),
    fate("F1_I1", kept=True, needs=("F1",)),
    fate("F2", kept=True),
    fate("F2_I1", kept=True, needs=("F2",)),
    fate("F2_D1", kept=True, needs=("F2",)),
    fate("F3", kept=False, bytes=None),
    wal=(run_of_wal(1, 20, kept=True),),
    policy="3 full backups",
)


@pytest.fixture
def fleet(presentation: Presentation) -> FleetRetention:
    """One cluster whose backups go, one that cannot be read."""
    interval = RecoverableInterval(
        repository="local", archive="15-1", engine="pgbackrest", engine_name="orders", timeline=Timeline(1),
        from_=EPOCH, to=EPOCH + timedelta(days=5), to_proof="commit", open_ended=True,
    )  # fmt: skip
    orders = ClusterRetention(
        name="orders",
        engine="pgbackrest",
        engine_version="2.55.1",
        engine_name="orders",
        read=True,
        repositories=(TODAY,),
        recoverable=(interval,),
        recoverable_after=(replace(interval, from_=EPOCH + timedelta(days=1)),),
        calendar=calendar((TODAY,), EPOCH, 30),
        what_if=WhatIf(
            asked="full=3",
            repositories=(INSTEAD,),
            recoverable_after=(interval,),
            differences=differences((TODAY,), (INSTEAD,)),
            notes=("a note",),
        ),
    )
    gone = Finding(code=FindingCode.ENGINE_MISSING, severity=Severity.UNKNOWN, message="not there", hint="install it")
    billing = ClusterRetention(
        name="billing", engine="barman", engine_version=None, engine_name="billing", read=False, findings=(gone,)
    )
    return FleetRetention(clusters=(orders, billing), days=30, what_if="full=3")


@pytest.mark.parametrize("name", ["table", "yaml", "json"])
def test_format_of_the_example(
    fleet: FleetRetention, presentation: Presentation, golden: Callable[[str, str], None], name: str
) -> None:
    """The golden file holds the whole answer."""
    golden(f"retention_{name}.txt", FORMATS[name](fleet, presentation))


def test_json_obeys_its_schema(fleet: FleetRetention, presentation: Presentation) -> None:
    """`pgwrap schema retention`; a cluster that cannot be read makes it partial."""
    answer = json.loads(FORMATS["json"](fleet, presentation))
    Draft202012Validator(retention_schema()).validate(answer)
    assert ("pgwrap/retention/1", "partial") == (answer["schema"], answer["outcome"])
    assert {"repo1-retention-full": "2"} == answer["result"]["clusters"][0]["repositories"][0]["native"]


def test_no_line_is_wider_than_the_terminal(fleet: FleetRetention, presentation: Presentation) -> None:
    """Reasons and runs of WAL are wrapped."""
    lines = FORMATS["table"](fleet, replace(presentation, width=100)).splitlines()
    assert [] == [line for line in lines if len(line) > 100]


def test_verbose_tells_every_backup(fleet: FleetRetention, presentation: Presentation) -> None:
    """Otherwise those that share the fate of the full one they build on are told with it."""
    short = FORMATS["table"](fleet, presentation)
    assert "F2 +1" in short
    assert "F2_I1" not in short
    assert "F2_D1" in short
    assert "F2_I1" in FORMATS["table"](fleet, replace(presentation, verbose=True))


def test_differences_count_what_another_policy_does() -> None:
    """By backup and by segment; bytes only where all are known."""
    (one,) = differences((TODAY,), (INSTEAD,))
    assert (("F1", "F1_I1"), ("F3",)) == (one.kept_instead, one.gone_instead)
    assert (9, None) == (one.wal_segments_kept, one.bytes_kept)


@pytest.mark.parametrize(
    ("fates", "expected"),
    [
        ((fate("F1", kept=False),), "F1 at the next run of pgbackrest expire, after each backup"),
        ((fate("F1", kept=True, expires=EPOCH),), "F1 from 2026-11-01 00:00:00Z on"),
        ((fate("F1", kept=True, event="after 1 more full backup"),), "F1 after 1 more full backup"),
        ((fate("F1", kept=True),), None),
        (
            tuple(fate(f"F{number}", kept=False) for number in range(5)),
            "F0, F1, F2 and 2 more at the next run of pgbackrest expire, after each backup",
        ),
    ],
)  # fmt: skip
def test_the_next_step_is_a_sentence(fates: tuple[BackupFate, ...], expected: str | None) -> None:
    """What goes now, else what goes first by time, else what an event lets go."""
    assert expected == next_step((forecast(*fates),))


EXPIRY = FleetExpiry(
    dry_run=True,
    clusters=(
        ClusterExpiry(
            name="orders",
            engine="pgbackrest",
            engine_name="orders",
            repositories=(
                RepositoryExpiry(
                    repository="local", backups=("F1",), wal_segments=9, bytes=1 << 20, engine_backups=("F1", "F2"),
                    more=("F2",), less=(),
                ),
            ),
            commands=("pgbackrest expire",),
            refused="the engine would delete more than foretold: local: F2",
        ),
        ClusterExpiry(
            name="billing",
            engine="barman",
            engine_name="billing",
            repositories=(
                RepositoryExpiry(
                    repository="repo1", backups=("B1",), wal_segments=None, bytes=None, engine_backups=None
                ),
            ),
            commands=("barman delete billing B1",),
            notes=("Barman has no dry run: what goes is foretold by its rules alone",),
        ),
    ),
)  # fmt: skip


def test_an_expiry_is_told(golden: Callable[[str, str], None], now: datetime) -> None:
    """What goes, what the engine's dry run says, why nothing is done; and as JSON with the errors of other clusters."""
    golden("expire_text.txt", expiry_text(EXPIRY))
    answer = json.loads(expiry_json(EXPIRY, (Busy("locked", cluster="ledger"),), now))
    assert ("pgwrap/expire/1", "partial", ["busy"]) == (
        answer["schema"],
        answer["outcome"],
        [error["code"] for error in answer["errors"]],
    )
    assert ["F2"] == answer["result"]["clusters"][0]["repositories"][0]["more"]
