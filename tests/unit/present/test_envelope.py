"""The frame around every answer, and errors as data."""

from __future__ import annotations

from datetime import datetime

import pytest

from pgwrap import __version__
from pgwrap.errors import EngineFailed, Location, Problem, SpecError, UsageError
from pgwrap.present.envelope import envelope, error_entries, error_envelope


def test_envelope_has_the_keys_of_the_contract(now: datetime) -> None:
    """Schema, version, moment, outcome, errors, result, in this order."""
    assert envelope("pgwrap/status/1", {"severity": "ok"}, (), now, "success") == {
        "schema": "pgwrap/status/1",
        "pgwrap": __version__,
        "generated_at": "2026-11-22T11:13:36Z",
        "outcome": "success",
        "errors": [],
        "result": {"severity": "ok"},
    }


def test_a_failed_command_has_no_result(now: datetime) -> None:
    """The outcome is error, and the engine's own exit code is kept."""
    error = EngineFailed("pgbackrest failed", hint="look at its log", cluster="orders", engine_exit=55)

    data = error_envelope("backup", error, now)

    assert isinstance(data, dict)
    assert (data["schema"], data["outcome"], data["result"]) == ("pgwrap/backup/1", "error", None)
    assert data["errors"] == [
        {
            "code": "engine-failed",
            "message": "pgbackrest failed",
            "hint": "look at its log",
            "cluster": "orders",
            "engine_exit": 55,
            "location": None,
        }
    ]


def test_each_problem_of_a_spec_is_an_entry() -> None:
    """All that is wrong is told, each with its place."""
    problems = (
        Problem(message="unknown key", path="clusters.a", location=Location("s.yaml", 3, 5), hint="did you mean b?"),
        Problem(message="no clusters"),
    )

    told = [
        (entry.message, entry.hint, entry.location) for entry in error_entries(SpecError(problems, hint="see the docs"))
    ]

    assert told == [
        ("clusters.a: unknown key", "did you mean b?", Location("s.yaml", 3, 5)),
        ("no clusters", "see the docs", None),
    ]


@pytest.mark.parametrize("error", [UsageError("what?"), SpecError(())])
def test_other_errors_are_one_entry(error: UsageError | SpecError) -> None:
    """The entry's code is the error's slug."""
    assert [error.slug] == [entry.code for entry in error_entries(error)]
