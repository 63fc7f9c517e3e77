"""What a value of pgBackRest's file means, in one spelling, or why it is refused. It knows no section."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgwrap.engines.pgbackrest.rules import Rule, Rules
from pgwrap.engines.port import EngineVersion

UNITS_OF_TIME = EngineVersion.parse("2.53")
"""Before, a time is the number of seconds at its beginning, whatever follows: `5m` is five seconds."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_SIZE = re.compile(r"([0-9]+)(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_TIME = re.compile(r"([+-]?[0-9]+)(ms|s|m|h|d|w)?", re.IGNORECASE)
_OLD_TIME = re.compile(r"[ \t]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_MILLISECONDS = {
    None: 1000,
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_LARGEST = (1 << 63) - 1


class ValueRefusedError(ValueError):
    """pgBackRest does not take the value; the message goes after the option's name and never holds a secret."""


def meaning(rule: Rule, values: tuple[str, ...], match: str | None, command: str, rules: Rules) -> tuple[str, ...]:
    """What the option is: sizes in bytes, times in seconds, y and n; raises ValueRefusedError.

    `match` is the value of what the option depends on, by which ranges may differ.
    """
    if rule.type == "hash":
        return _pairs(values)
    if rule.type == "list":
        return values
    (value,) = values
    if rule.type in _NUMBERS:
        amount = _amount(rule.type, value, rules.version)
        if amount is None:
            raise ValueRefusedError(f"cannot be {_shown(rule, value)}: it must be {_NUMBERS[rule.type]} [032]")
        _check_range(rule, value, amount, match, rules.version)
        _check_allowed_amounts(rule, value, amount, command, rules.version)
        return (_said(rule.type, amount),)
    if rule.type == "path":
        return (_path(rule, value),)
    _check_allowed(rule, value, command)
    return (value,)


def default_meaning(rule: Rule, value: str, version: EngineVersion) -> tuple[str, ...]:
    """What a default is, in the same spelling."""
    if rule.type == "boolean":
        return ("y" if value in {"true", "y"} else "n",)
    amount = _amount(rule.type, value, version) if rule.type in _NUMBERS else None
    return (value,) if amount is None else (_said(rule.type, amount),)


_NUMBERS = {
    "integer": "a whole number",
    "size": "a size such as 128MiB",
    "time": "a time in seconds, or from 2.53 on with its unit",
}


def _shown(rule: Rule, value: str) -> str:
    return "what is given" if rule.secure else repr(value)


def _pairs(values: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for pair in values:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueRefusedError(f"takes pairs such as key=value, not {pair!r} [031]")
        found[key] = value
    return tuple(f"{key}={value}" for key, value in found.items())


def _amount(kind: str, text: str, version: EngineVersion) -> int | None:
    """An integer, bytes, or milliseconds; None when it is none."""
    if kind == "integer":
        found = int(text) if _INTEGER.fullmatch(text) and len(text) < 40 else None
    elif kind == "size":
        found = _bytes(text)
    else:
        found = _new_time(text) if version >= UNITS_OF_TIME else _old_time(text)
    return found if found is not None and abs(found) <= _LARGEST else None


def _bytes(text: str) -> int | None:
    size = _SIZE.fullmatch(text)
    if size is None or len(size[1]) > 19:
        return None
    return int(size[1]) << (10 * "bkmgtp".index((size[2] or "b").lower()))


def _new_time(text: str) -> int | None:
    time = _TIME.fullmatch(text)
    if time is None or len(time[1]) > 19:
        return None
    return int(time[1]) * _MILLISECONDS[time[2].lower() if time[2] else None]


def _old_time(text: str) -> int | None:
    number = _OLD_TIME.match(text)
    seconds = float(number[1]) if number and len(number[1]) < 40 else 0.0
    if seconds == 0 and text != "0":
        return None
    return int(seconds * 1000) if abs(seconds) < 1e15 else None


def is_cut_short(rule: Rule, value: str, version: EngineVersion) -> bool:
    """Whether an old version reads the number of a time and passes over a unit that says otherwise."""
    time = _TIME.fullmatch(value)
    return (
        rule.type == "time"
        and version < UNITS_OF_TIME
        and time is not None
        and time[2] is not None
        and time[2].lower() != "s"
    )


def _said(kind: str, amount: int) -> str:
    """Times in seconds, with a fraction only where there is one."""
    if kind != "time":
        return str(amount)
    return str(amount // 1000) if amount % 1000 == 0 else f"{amount / 1000:.3f}".rstrip("0")


def _check_range(rule: Rule, value: str, amount: int, match: str | None, version: EngineVersion) -> None:
    limits = rule.range
    if isinstance(limits, Mapping):
        limits = limits.get(match or "")
    if limits is None:
        return
    low, high = (_amount(rule.type, limit, version) for limit in limits)
    if low is None or high is None:
        raise TypeError(f"rules.json: the range of {rule.name} is none")
    if not low <= amount <= high:
        raise ValueRefusedError(f"must be between {limits[0]} and {limits[1]}, not {value} [032]")


def _check_allowed_amounts(rule: Rule, value: str, amount: int, command: str, version: EngineVersion) -> None:
    allowed = rule.for_command(command).allowed
    if allowed is not None and amount not in {_amount(rule.type, one, version) for one in allowed}:
        raise ValueRefusedError(f"cannot be {value}; known: {', '.join(allowed)} [032]")


def _check_allowed(rule: Rule, value: str, command: str) -> None:
    allowed = rule.for_command(command).allowed
    if allowed is not None and value not in allowed:
        raise ValueRefusedError(f"cannot be {_shown(rule, value)}; known: {', '.join(allowed)} [032]")


def _path(rule: Rule, value: str) -> str:
    if not value.startswith("/"):
        raise ValueRefusedError(f"must begin with /, unlike {_shown(rule, value)} [032]")
    if "//" in value:
        raise ValueRefusedError(f"cannot contain //, as {_shown(rule, value)} does [032]")
    return value[:-1] if value.endswith("/") and value != "/" else value
