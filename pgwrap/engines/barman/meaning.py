"""What Barman makes of the text of one option, by version. It reads no file and knows no section.

Source: the parse_* functions and the parsers of ServerConfig in barman/config.py.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Final, TypeAlias
from urllib.parse import urlparse

from pgwrap.engines.barman.options import Option, options
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

Value: TypeAlias = "bool | int | str | timedelta | tuple[str, ...]"

_TRUE: Final = frozenset({"true", "t", "yes", "1", "on"})
_FALSE: Final = frozenset({"false", "f", "no", "0", "off"})
_INTERVAL: Final = re.compile(r"\s*(\d+)\s+(day|month|week|hour)s?\s*", re.IGNORECASE)
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "m": 31 * 24}
_SIZE: Final = re.compile(r"(\d+)\s*(k|Ki|M|Mi|G|Gi|T|Ti)?\s*")
_UNITS: Final = {"k": 10**3, "Ki": 1 << 10, "M": 10**6, "Mi": 1 << 20, "G": 10**9, "Gi": 1 << 30, "T": 10**12}
_TEBI: Final = 1 << 40
_SLOT: Final = re.compile(r"[0-9a-z_]+")
_AS_WRITTEN: Final = frozenset({"aws_encryption", "staging_location"})
"""Options of a few values whose case counts."""
_COMPRESSION_CHECKED: Final = EngineVersion((3, 14))
STORES: Final = EngineVersion((3, 18))
"""The first version that takes addresses of cloud stores for directories."""
_CONFLICTING: Final = frozenset({"exclusive_backup", "concurrent_backup"})
_LATER: Final = {
    "combine_mode": "last_wal_maximum_age+",
    "create_slot": "recovery_staging_path+",
    "aws_await_snapshots_timeout": "aws_read_timeout+",
    "aws_profile": "aws_snapshot_lock_mode+",
    "aws_region": "aws_snapshot_lock_mode++",
    "staging_path": "staging_locatio",
}
"""Where Barman's order is not the alphabet's; it counts for values that refer to one another."""
_GOOGLE: Final = "https://console.cloud.google.com/storage/browser/"
_AZURE: Final = "blob.core.windows.net"


class InvalidValue(ValueError):
    """Barman warns of such a value and goes on as if it were not set."""


@cache
def reading_order() -> tuple[Option, ...]:
    """Every option, in the order in which Barman evaluates them."""
    return tuple(sorted(options().values(), key=lambda option: _LATER.get(option.name, option.name)))


def parse(option: Option, text: str, version: EngineVersion) -> Value | None:
    """The value; None where Barman takes the text for "not said here"; InvalidValue where it ignores it."""
    checked = _checked(option, version)
    return checked(option, text, version) if checked is not None else text


def normal(value: Value) -> tuple[str, ...]:
    """One spelling: y and n, seconds, bytes; lists item by item."""
    match value:
        case bool():
            return ("y" if value else "n",)
        case timedelta():
            return (str(int(value.total_seconds())),)
        case tuple():
            return value
        case _:
            return (str(value),)


def spoken(value: Value) -> str:
    """As Python prints it, for a value that refers to this one."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A parser for the options whose type begins with these words."""

    begins: str
    parse: Callable[[Option, str, EngineVersion], Value | None]


def _checked(option: Option, version: EngineVersion) -> Callable[[Option, str, EngineVersion], Value | None] | None:
    if option.name == "compression" and version < _COMPRESSION_CHECKED:
        return None
    return next((kind.parse for kind in _KINDS if f"{option.type} ".startswith(f"{kind.begins} ")), None)


def boolean(text: str) -> bool:
    """true|t|yes|1|on or false|f|no|0|off in any case; InvalidValue for anything else."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidValue("it must be one of true, t, yes, 1, on, false, f, no, 0, off")


def _boolean(_option: Option, text: str, _version: EngineVersion) -> bool:
    return boolean(text)


def _integer(_option: Option, text: str, _version: EngineVersion) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidValue("it must be a whole number") from None


def _one_of(option: Option, text: str, version: EngineVersion) -> str | None:
    value = text if option.name in _AS_WRITTEN else text.lower()
    if option.name == "compression" and not value:
        return value
    accepted = [word for word in option.accepts(version) if not word.startswith("<")]
    if value not in accepted:
        raise InvalidValue(f"it must be one of {', '.join(accepted)}")
    return None if option.name == "encryption" and value == "none" else value


def _one_of_or_integer(option: Option, text: str, version: EngineVersion) -> Value | None:
    if text.lstrip("-").isdigit():
        return _integer(option, text, version)
    return _one_of(option, text, version) if text else text


def _several_of(option: Option, text: str, version: EngineVersion) -> tuple[str, ...]:
    found = {part.strip().lower() for part in text.split(",")} if text else set()
    unknown = sorted(found - set(option.accepts(version)))
    if unknown:
        raise InvalidValue(f"it knows no {unknown[0]!r}")
    if found >= _CONFLICTING:
        raise InvalidValue(f"{' and '.join(sorted(_CONFLICTING))} exclude one another")
    return tuple(sorted(found))


def _list(_option: Option, text: str, _version: EngineVersion) -> tuple[str, ...]:
    found = tuple(text.split(","))
    if "" in found:
        raise InvalidValue("one of the names is empty")
    return found


def _interval(_option: Option, text: str, _version: EngineVersion) -> timedelta | None:
    if not text:
        return None
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise InvalidValue("it must be a number and HOURS, DAYS, WEEKS or MONTHS")
    try:
        return timedelta(hours=int(match[1]) * _HOURS[match[2][0].lower()])
    except OverflowError:
        raise InvalidValue("the number is too large") from None


def _size(_option: Option, text: str, _version: EngineVersion) -> int | None:
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidValue("it must be a number, with k, Ki, M, Mi, G, Gi, T or Ti")
    return int(match[1]) * (_UNITS.get(match[2], _TEBI) if match[2] else 1)


def _slot(_option: Option, text: str, _version: EngineVersion) -> str:
    if not _SLOT.fullmatch(text.lower()):
        raise InvalidValue("a slot's name has letters, digits and _ only")
    return text.lower()


def _absolute(_option: Option, text: str, _version: EngineVersion) -> str:
    if not posixpath.isabs(text):
        raise InvalidValue("it must be an absolute path")
    return text


def _directory_or_store(_option: Option, text: str, version: EngineVersion) -> str:
    if version >= STORES and "://" in text and not _is_store(text):
        raise InvalidValue("it is no address of a cloud store that Barman knows")
    return text


def _is_store(text: str) -> bool:
    """cloud_providers/__init__.py, recognize_cloud_provider."""
    url = urlparse(text.replace(_GOOGLE, "gs://"))
    return bool(url.netloc) and (url.scheme in ("s3", "gs") or (url.netloc.endswith(_AZURE) and "/" in url.path))


_KINDS: Final = (
    _Kind("bool", _boolean),
    _Kind("int", _integer),
    _Kind("enum or int", _one_of_or_integer),
    _Kind("enum", _one_of),
    _Kind("csv-enum", _several_of),
    _Kind("csv list", _list),
    _Kind("interval", _interval),
    _Kind("bytes", _size),
    _Kind("slot name", _slot),
    _Kind("absolute path", _absolute),
    _Kind("path or cloud", _directory_or_store),
)
