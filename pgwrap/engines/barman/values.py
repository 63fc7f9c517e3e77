"""Writing values so that Barman reads back exactly them. It knows no option.

Barman's configuration is Python's ConfigParser with interpolation (once before 3.10, twice from 3.10.0, where
ConfigMapping copies interpolated values), no inline comments, and one pair of quotes around a whole value taken off.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from pgwrap.domain.model import Path
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Problem, SpecError

TWO_INTERPOLATIONS: Final = EngineVersion((3, 10))
RESERVED_NAMES: Final = frozenset({"all", "barman", "default"})
"""`all` is forbidden by Barman, [barman] is the global section, and DEFAULT is ConfigParser's own."""

_LINE_SEPARATORS: Final = frozenset({"Zl", "Zp", "Cc", "Cs"})
_QUOTED: Final = re.compile(r"""(["']).*\1""")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_LIBPQ_PLAIN: Final = re.compile(r"[^\s'\\]+")


def option_line(key: str, value: str, version: EngineVersion, path: Path) -> str:
    """`key = value` as Barman must find it; SpecError for what it could not hold."""
    if not _KEY.fullmatch(key):
        raise refused(path, f"{key!r} cannot be the name of an option")
    problem = value_problem(value)
    if problem is not None:
        raise refused(path, problem)
    return f"{key} = {escaped(value, version)}".rstrip(" ")


def escaped(value: str, version: EngineVersion) -> str:
    """Percent signs doubled once for each interpolation, and quotes around what would lose its edges."""
    percent = "%%%%" if version >= TWO_INTERPOLATIONS else "%%"
    text = value.replace("%", percent)
    return f'"{text}"' if text != text.strip() or _QUOTED.fullmatch(text) else text


def value_problem(value: str) -> str | None:
    """Why no quoting can carry `value`: it would add a line to the file, or cannot be written at all."""
    if any(unicodedata.category(character) in _LINE_SEPARATORS or character == "\x85" for character in value):
        return "the value holds a line break or another control character"
    return None


def name_problem(name: str) -> str | None:
    """Why `name` cannot be a Barman server: a section, a directory, a lock file and a command argument at once."""
    if not name or name != name.strip():
        return "it is empty or begins or ends with a space"
    if value_problem(name) is not None:
        return "it holds a control character"
    if name.lower() in RESERVED_NAMES:
        return f"{name!r} is a reserved word of Barman"
    if name.startswith(("-", ".")):
        return "it begins with '-' or '.'"
    held = [character for character in "[]/%" if character in name]
    return f"it holds {held[0]!r}" if held else None


def file_name(server: str) -> str:
    """A safe name for the server's file: Barman loads only `*.conf`, and no hidden files."""
    if _PLAIN_NAME.fullmatch(server):
        return f"{server}.conf"
    digest = hashlib.sha256(server.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', server)[:80]}-{digest}.conf"


def connection_string(*parameters: tuple[str, str | None]) -> str:
    """A libpq keyword/value string; parameters without a value are left out.

    Quoting as in PostgreSQL's "Connection Strings": single quotes around, backslash before quotes and backslashes.
    """
    return " ".join(f"{key}={_libpq(value)}" for key, value in parameters if value is not None)


def refused(path: Path, message: str) -> SpecError:
    """The error for a value that must not reach a file."""
    return SpecError((Problem(message=message, path=".".join(path)),))


def _libpq(value: str) -> str:
    if _LIBPQ_PLAIN.fullmatch(value):
        return value
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
