"""libpq's connection strings as far as Barman can use them: texts to parameters. It connects to nothing.

Barman splits them at white space and looks for `=` in each part (barman/postgres.py, parse_dsn), so a text counts here
only where that and libpq's own rules ("Connection Strings" in PostgreSQL's manual) see the same parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

OPTIONS: Final = frozenset(
    {"conninfo", "streaming_conninfo", "primary_conninfo", "wal_conninfo", "wal_streaming_conninfo"}
)
"""The options that hold a connection string."""
STREAMING: Final = frozenset({"streaming_conninfo", "wal_streaming_conninfo"})
"""Those whose database Barman replaces by `replication`."""

_PLAIN: Final = re.compile(r"[^'\\]*")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
_ESCAPED: Final = re.compile(r"\\(.)")
_DEFAULT_PORT: Final = "5432"


def usable(text: str) -> bool:
    """Whether Barman takes the text at all; with one that it does not, it disables the server."""
    return all("=" in part for part in text.split())


def parameters(text: str) -> Mapping[str, str] | None:
    """Each parameter and its value; None for what libpq and Barman would understand in different ways."""
    found: dict[str, str] = {}
    for part in text.split():
        key, separator, value = part.partition("=")
        if not separator or "://" in key:
            return None
        quoted = _QUOTED.fullmatch(value)
        if quoted is None and not _PLAIN.fullmatch(value):
            return None
        found[key] = _ESCAPED.sub(r"\1", quoted[1]) if quoted is not None else value
    return found


def meaning(option: str, text: str) -> tuple[str, ...]:
    """The parameters in one order, with libpq's own defaults said: its port, and the role's name as database."""
    found = dict(parameters(text) or {})
    if not found:
        return (text,)
    if option in STREAMING:
        found.pop("dbname", None)
    if "service" not in found:
        found.setdefault("port", _DEFAULT_PORT)
        if "user" in found and option not in STREAMING:
            found.setdefault("dbname", found["user"])
    return tuple(f"{key}={value}" for key, value in sorted(found.items()))


def holds_password(text: str) -> bool:
    """Whether a secret stands in the text, in whichever form."""
    found = parameters(text)
    if found is None:
        return bool(re.search(r"password|://[^/@]*:[^/@]*@", text))
    return "password" in found or "sslpassword" in found
