"""What works without pgwrap: timers that call the engine, and what to type by hand. Nothing is written here."""

from __future__ import annotations

from pgwrap.domain.command import Command
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """One command that systemd runs by a calendar; `name` is the unit's without its ending."""

    name: str
    description: str
    calendar: str
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One thing to do by hand, and how."""

    title: str
    commands: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """All that one cluster needs when pgwrap is gone."""

    cluster: str
    engine: str
    timers: tuple[Timer, ...]
    instructions: tuple[Instruction, ...]
    notes: tuple[str, ...] = ()
    """What pgwrap did and nobody does now."""
