"""Reads the files of a spec: the main one, `conf.d/*.yaml` beside it, and what it includes.

It gives no word a meaning but `include`.
"""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import field
from hashlib import sha256
from pathlib import Path

from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass
from pgwrap.spec.merge import SourceFile
from pgwrap.spec.names import CONTROL
from pgwrap.text.yaml_text import SIZE_LIMIT, MappingNode, Node, Scalar, SequenceNode, parse


@dataclass(slots=True)
class Reading:
    """The files read so far, in order, and what was wrong with them."""

    names: list[str] = field(default_factory=list)
    sources: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    """SHA-256 of each file that was read."""

    def ordered(self) -> tuple[Problem, ...]:
        """Every problem once, in the order of files, lines and columns; those without a place first."""
        unique: dict[tuple[Location | None, str], Problem] = {}
        for problem in self.problems:
            unique.setdefault((problem.location, problem.message), problem)
        ranks = {name: rank for rank, name in enumerate(self.names)}

        def place(problem: Problem) -> tuple[int, int, int]:
            location = problem.location
            return (ranks.get(location.file, -1), location.line, location.column) if location else (-1, 0, 0)

        return tuple(sorted(unique.values(), key=place))

    def note(self, message: str, location: Location | None, hint: str = "", severity: str = "error") -> None:
        """Keep a problem."""
        self.problems.append(Problem(message=message, location=location, hint=hint, severity=severity))


def read(main: str) -> Reading:
    """Read the main file and all that belongs to it; what cannot be read is a problem of the result."""
    reading = Reading()
    root = _read_file(main, None, reading)
    if root is not None:
        for name in _fragments(main, reading):
            _read_file(name, Location(main, 1, 1), reading)
        for pattern, location in _includes(root, reading):
            _read_included(str(Path(main).parent / pattern), location, reading)
    return reading


def read_text(text: str, name: str) -> Reading:
    """Read one document that stands in no file yet."""
    reading = Reading(names=[name])
    document = parse(text.encode(errors="surrogatepass"), name)
    reading.problems.extend(document.problems)
    root = _as_mapping(document.root, name, reading)
    if root is not None:
        reading.sources.append(SourceFile(name=name, root=root))
    return reading


def _read_file(name: str, included_at: Location | None, reading: Reading) -> MappingNode | None:
    if os.path.realpath(name) in map(os.path.realpath, reading.names):
        return None
    reading.names.append(name)
    data = _bytes_of(name, included_at, reading)
    if data is None:
        return None
    reading.digests.append(sha256(data).digest())
    document = parse(data, name)
    reading.problems.extend(document.problems)
    root = _as_mapping(document.root, name, reading)
    if root is not None and not (document.root is None and document.problems):
        reading.sources.append(SourceFile(name=name, root=root))
        return root
    return None


def _bytes_of(name: str, included_at: Location | None, reading: Reading) -> bytes | None:
    if CONTROL.search(name):  # it would stand in the rendered files' headers, and could add a line to them
        reading.note(f"the path {name!r} holds a control character", included_at, "rename the file")
        return None
    try:
        if not _is_readable_kind(name, Path(name).stat().st_mode, included=included_at is not None):
            reading.note(f"{name} is not a file", included_at)
            return None
        with Path(name).open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        reading.note(f"there is no file {name}", included_at, "" if included_at else "`pgwrap init` writes a first one")
    except IsADirectoryError:
        reading.note(f"{name} is a directory", included_at, "name the file in it")
    except PermissionError:
        reading.note(f"{name} may not be read by this user", included_at, "run as a user who may, or change its mode")
    except (OSError, ValueError) as error:
        reading.note(f"{name} cannot be read: {error}", included_at)
    return None


def _is_readable_kind(name: str, mode: int, *, included: bool) -> bool:
    """A file; the main one may be a device or the shell's `<(command)`, but no named pipe: nobody may ever write it."""
    if included:
        return stat.S_ISREG(mode)
    return not stat.S_ISFIFO(mode) or name.startswith("/dev/")


def _as_mapping(root: Node | None, name: str, reading: Reading) -> MappingNode | None:
    if root is None:
        return MappingNode((), Location(name, 1, 1))
    if isinstance(root, MappingNode):
        return root
    shape = "a list" if isinstance(root, SequenceNode) else "text"
    reading.note(f"the spec must be a mapping, not {shape}", root.location, "begin with version: 1")
    return None


def _fragments(main: str, reading: Reading) -> list[str]:
    directory = Path(main).parent / "conf.d"
    try:
        entries = sorted(str(entry) for entry in directory.iterdir()) if directory.is_dir() else []
    except PermissionError:
        reading.note(f"{directory} may not be read by this user", Location(main, 1, 1))
        return []
    shown = [entry for entry in entries if not Path(entry).name.startswith(".")]
    for entry in shown:
        if entry.endswith(".yml"):
            reading.note(f"{entry} is not read", Location(entry, 1, 1), "name it *.yaml", severity="warning")
    return [entry for entry in shown if entry.endswith(".yaml")]


def _includes(root: MappingNode, reading: Reading) -> list[tuple[str, Location]]:
    node = root.get("include")
    items = node.items if isinstance(node, SequenceNode) else ()
    scalars = [item for item in items if isinstance(item, Scalar) and item.text]
    for scalar in scalars:
        if "\0" in scalar.text:
            reading.note("a path cannot hold the character U+0000", scalar.location)
    return [(scalar.text, scalar.location) for scalar in scalars if "\0" not in scalar.text]


def _read_included(pattern: str, location: Location, reading: Reading) -> None:
    # Path.glob takes no absolute pattern
    found = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
    if not found:
        reading.note(f"no file matches {pattern}", location, severity="warning")
    for name in found:
        _read_file(name, location, reading)
