"""Checks of native options against the option table of a version: Barman itself fails open on all of these.

It knows no word of the spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pgwrap.domain.model import NativeOption, Path
from pgwrap.engines.barman.options import Option, nearest, options
from pgwrap.engines.barman.policy import understood
from pgwrap.engines.barman.values import value_problem
from pgwrap.engines.port import EngineVersion, Remark

_BOOLEANS: Final = frozenset({"true", "t", "1", "yes", "on", "false", "f", "0", "no", "off"})


def native_remarks(
    native_option: NativeOption, section: Literal["server", "global", "model"], path: Path, version: EngineVersion
) -> Iterator[Remark]:
    """What this version makes of one native option in a section of that kind."""
    key, value = native_option.key, ",".join(native_option.values)
    option = options().get(key)
    if option is None:
        close = nearest(key)
        hint = f"did you mean {close}?" if close is not None else ""
        yield Remark(path=path, severity="error", message=f"Barman has no option {key}", hint=hint)
        return
    message = _misplaced(option, section) or lack(option, value, version) or _wrong_value(option, value)
    if message is not None:
        yield Remark(path=path, severity="error", message=message, hint=option.deprecated or "")
    elif option.deprecated is not None:
        yield Remark(path=path, severity="warning", message=f"{key} is {option.deprecated}")


def _misplaced(option: Option, section: str) -> str | None:
    if section == "global" and option.scope not in ("both", "global"):
        return f"Barman silently ignores {option.name} in [barman]"
    if section == "server" and option.scope in ("global", "model"):
        return f"{option.name} belongs to {'[barman]' if option.scope == 'global' else 'a model'}"
    if section == "model" and not option.model:
        return f"a model cannot change {option.name}"
    return None


def _wrong_value(option: Option, value: str) -> str | None:
    """Values from which Barman falls back without a word that an operator would see."""
    if value_problem(value) is not None:
        return value_problem(value)
    if value.lower() in ("", "none"):
        return None
    if option.name == "retention_policy" and understood(value) is None:
        return f"Barman does not understand the retention_policy {value!r} and would keep everything"
    if option.type == "int" and not value.strip().lstrip("+-").isdigit():
        return f"{option.name} must be a whole number, not {value!r}"
    if option.type == "bool" and value.lower() not in _BOOLEANS:
        return f"{option.name} must be on or off, not {value!r}"
    return None


def lack(option: Option, value: str, version: EngineVersion) -> str | None:
    """Why `version` does not take this value of the option; None when it does."""
    if option.since > version:
        return f"Barman {version} has no {option.name}, which came with {option.since}"
    accepted = option.accepts(version)
    parts = [part.strip() for part in value.split(",")] if option.type == "csv-enum" else [value]
    unknown = [part for part in parts if part not in accepted and part.lower() not in ("", "none")]
    if not accepted or not unknown or ("<int>" in accepted and unknown[0].isdigit()):
        return None
    since = option.accepted_since(unknown[0])
    came = f" before {since}" if since is not None else ""
    return f"Barman {version} does not take {option.name} = {unknown[0]}{came}"
