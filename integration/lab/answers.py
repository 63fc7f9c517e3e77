"""Reads what `pgwrap` answers, for tests to compare; it judges nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from integration.lab.estate import Estate

Json: TypeAlias = dict[str, Any]

AGES = frozenset({"generated_at", "observed_seconds", "lag_seconds", "write_lag_seconds"})
"""Fields that may differ between two looks at an unchanged estate."""


def status(estate: Estate, *arguments: str, path: Path | None = None) -> Json:
    """The whole answer of `pgwrap status -o json`, whatever its exit code."""
    ran = estate.pgwrap("status", "--output", "json", *arguments, check=False, path=path)
    answer: Json = json.loads(ran.stdout)
    return answer


def cluster(answer: Json, name: str) -> Json:
    """One cluster of a status."""
    (found,) = (entry for entry in answer["result"]["clusters"] if entry["name"] == name)
    return dict(found)


def codes(entry: Json, *, least: str = "warning") -> set[str]:
    """The codes of a cluster's findings, without its notes."""
    return {finding["code"] for finding in entry["findings"] if least == "ok" or finding["severity"] != "ok"}


def while_idle(estate: Estate, *looks: Callable[[], Json]) -> tuple[Json, ...]:
    """Answers between which no WAL was written or streamed: an idle server writes once more, seconds after a commit."""
    for _ in range(5):
        before = _positions(estate)
        answers = tuple(look() for look in looks)
        if _positions(estate) == before:
            return answers
    raise TimeoutError("the servers write WAL all the time")


def _positions(estate: Estate) -> list[str]:
    query = "select pg_current_wal_insert_lsn(), (select array_agg(write_lsn) from pg_stat_replication)"
    return [server.sql(query) for server in estate.servers.values()]


def without_ages(value: Any) -> Any:
    """The same JSON value without the fields that grow by themselves."""
    if isinstance(value, dict):
        return {key: without_ages(item) for key, item in value.items() if key not in AGES}
    return [without_ages(item) for item in value] if isinstance(value, list) else value


def differences(one: Json, other: Json) -> dict[str, tuple[Any, Any]]:
    """Where two answers differ, by path, leaving out the fields that grow by themselves."""
    first, second = dict(_leaves(without_ages(one))), dict(_leaves(without_ages(other)))
    return {
        path: (first.get(path), second.get(path))
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def intervals(entry: Json) -> list[tuple[str, str | None, int, str]]:
    """A cluster's recoverable intervals: repository, archive, timeline and start."""
    return [(one["repository"], one["archive"], one["timeline"], one["from"]) for one in entry["recoverable"]]
