"""`pgwrap diff` in text and JSON, from what is in place to what the spec says. It compares nothing, shows no secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.drift import FileDrift, FleetDrift, InstallationDrift, OptionDrift, SettingDrift
from pgwrap.present.encode import Json, encode
from pgwrap.present.envelope import ErrorEntry, envelope
from pgwrap.present.harmless import harmless, visible
from pgwrap.present.json_format import json_text

DIFF_SCHEMA = "pgwrap/diff/1"
_NOT_SET = "not set"
_COLOURS = {"+": "32", "-": "31", "@": "36"}
_INDENT = "  "
_NAMED = 3
"""Up to so many commands are named; what differs for more differs as a whole."""


def diff_text(drift: FleetDrift, *, colour: bool) -> str:
    """A block for each installation and for PostgreSQL; a sentence where nothing differs."""
    blocks = ["\n".join(_installation(one, colour=colour)) for one in drift.installations]
    if drift.postgres:
        blocks.append("\n".join(["PostgreSQL", *(_INDENT + harmless(_setting(one)) for one in drift.postgres)]))
    elif drift.postgres_asked:
        blocks.append("PostgreSQL: every setting is as needed")
    else:
        blocks.append("PostgreSQL: not looked at (--no-postgres)")
    return "\n\n".join(blocks) + "\n"


def diff_json(drift: FleetDrift, now: datetime) -> str:
    """The whole answer as JSON text; `partial` when something could not be looked at."""
    errors = tuple(
        ErrorEntry(code="unknown", message=f"{one.name}: {one.unknown}") for one in drift.installations if one.unknown
    )
    return json_text(envelope(DIFF_SCHEMA, _data(drift), errors, now, "partial" if errors else "success"))


def _data(drift: FleetDrift) -> Json:
    return {
        "drift": not drift.clean,
        "installations": [_installation_data(one) for one in drift.installations],
        "postgres": encode(drift.postgres) if drift.postgres_asked else None,
    }


def _installation_data(one: InstallationDrift) -> Json:
    data = encode(one)
    return {**data, "drift": not one.clean} if isinstance(data, dict) else data


def _installation(one: InstallationDrift, *, colour: bool) -> Iterator[str]:
    where = f" on {one.host}" if one.host else ""
    if one.unknown is not None:
        yield harmless(f"{one.name}{where}: unknown: {one.unknown}")
        return
    compared = "" if one.options_compared is None else f", {one.options_compared} options"
    counted = f"{len(one.files)} file{'' if len(one.files) == 1 else 's'}{compared}"
    yield harmless(f"{one.name}{where} ({counted}): {'no difference' if one.clean else 'differs'}")
    for text in one.refusals:
        yield _INDENT + harmless(f"the engine refuses what is in place: {text}")
    yield from (_INDENT + harmless(_option(option)) for option in one.options)
    for file in one.drifted:
        yield from _file(file, colour=colour)


def _option(option: OptionDrift) -> str:
    """`orders: compress-type: gz → zst (FILE:12)`."""
    subject = f"{option.cluster}: " if option.cluster else ""
    commands = f" for {', '.join(option.commands)}" if 0 < len(option.commands) <= _NAMED else ""
    place = f" ({option.place})" if option.place else ""
    before = _NOT_SET if option.before is None else option.before
    after = _NOT_SET if option.after is None else option.after
    return f"{subject}{option.option}: {before} → {after}{commands}{place}"


def _file(file: FileDrift, *, colour: bool) -> Iterator[str]:
    words = {"differs": "is not what the spec says", "besides": "is read, too", "left-over": "is left over"}
    state = words.get(file.state, file.state)
    yield _INDENT + harmless(f"{file.path} {state}{f': {file.detail}' if file.detail else ''}")
    for line in file.lines:
        code = _COLOURS.get(line[:1])
        shown = visible(line)
        yield f"\x1b[{code}m{shown}\x1b[0m" if colour and code else shown


def _setting(one: SettingDrift) -> str:
    if one.verdict == "unknown":
        return f"{one.cluster}: {one.name}: unknown, wanted {one.wanted} ({one.reason})"
    ending = "; it waits for a restart" if one.verdict == "pending" else " and a restart" if one.restart else ""
    return f"{one.cluster}: {one.name}: {_NOT_SET if one.actual is None else one.actual} → {one.wanted}{ending}"
