"""How PostgreSQL hands WAL to two engines at once: one archive_command that fails when either fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pgwrap.domain.plan import PostgresSetting

BOTH: Final = " && "
COMMAND: Final = "archive_command"


def together(new: Iterable[PostgresSetting], old: Iterable[PostgresSetting]) -> tuple[PostgresSetting, ...]:
    """What both engines need of PostgreSQL; archive_command does what each of them wants, one after the other.

    pgBackRest's `check` refuses an archive_command without the word pgbackrest; a line with both has it.
    """
    wanted: dict[str, PostgresSetting] = {}
    for setting in (*old, *new):
        known = wanted.get(setting.name)
        wanted[setting.name] = setting if known is None else _both(known, setting)
    return tuple(wanted.values())


def _both(one: PostgresSetting, other: PostgresSetting) -> PostgresSetting:
    if one.name == COMMAND and one.value != other.value:
        return replace(other, value=f"{one.value}{BOTH}{other.value}", reason="each engine gets every segment, or none")
    if other.minimum and one.value.isdecimal() and other.value.isdecimal():
        return replace(other, value=str(_sum_or_most(one, other)))
    return other


def _sum_or_most(one: PostgresSetting, other: PostgresSetting) -> int:
    """Connections of two engines add up; of other lower bounds the higher one counts."""
    values = (int(one.value), int(other.value))
    return sum(values) if one.name in ("max_wal_senders", "max_replication_slots") else max(values)
