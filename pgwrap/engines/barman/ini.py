"""Barman's files as Python's ConfigParser reads them for it, with the place of every option. It knows no option.

Barman asks for `strict=False`: a section or option may come twice, and the last one counts. From 3.10 on each file is
read alone, its values interpolated, and copied into one parser that interpolates them again (config.py, ConfigMapping).
"""

from __future__ import annotations

import configparser
import io
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Final, TypeAlias

from pgwrap.domain.native import NativeFile
from pgwrap.engines.barman.values import TWO_INTERPOLATIONS
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

Variables: TypeAlias = Mapping[str, str | None]
_NO_VARIABLES: Final[Variables] = {}
_MARK: Final = "\ufeff"


class RefusedFile(Exception):
    """Barman would end with an error here; `problems` say where."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class _Journal:
    """Where the parser is, and what it met there."""

    file: str
    line: int = 0
    sections: dict[str, Location] = field(default_factory=dict)
    options: dict[tuple[str, str], Location] = field(default_factory=dict)
    repeated: list[tuple[str, str, Location, Location]] = field(default_factory=list)

    def here(self) -> Location:
        """The line being read."""
        return Location(self.file, self.line, 1)

    def lines(self, text: str) -> Iterator[str]:
        """The text's lines, counted; newlines as in a file that Python opens for reading."""
        for number, line in enumerate(io.StringIO(text, newline=None), start=1):
            self.line = number
            yield line

    def note(self, section: str, option: str, place: Location) -> None:
        """Keep the place of an option, and that it replaces an earlier one."""
        before = self.options.get((section, option))
        if before is not None:
            self.repeated.append((section, option, before, place))
        self.options[section, option] = place


class _Watched(dict[str, object]):
    """A mapping of ConfigParser's that tells the journal what is put into it while a file is read.

    The parser puts sections into one such mapping, and into another for each section the lines of its options.
    """

    journal: _Journal
    name = configparser.DEFAULTSECT

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, _Watched):
            value.name = key
            self.journal.sections.setdefault(key, self.journal.here())
        elif isinstance(value, list):
            self.journal.note(self.name, key, self.journal.here())
        super().__setitem__(key, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """What Barman holds once its files are read."""

    parser: configparser.ConfigParser
    journal: _Journal
    twice: bool
    """Whether values are interpolated once more than ConfigParser itself does."""

    def names(self) -> tuple[str, ...]:
        """Every section but DEFAULT, in the order of the files."""
        return tuple(self.parser.sections())

    def options(self, section: str) -> tuple[str, ...]:
        """Every option of a section, DEFAULT's included; none for a section that is not there."""
        return tuple(self.parser.options(section)) if self.parser.has_section(section) else ()

    def items(self, section: str) -> frozenset[tuple[str, str]]:
        """Every option with its value; RefusedFile for one that cannot be interpolated, needed or not."""
        return frozenset((option, self.text(section, option) or "") for option in self.options(section))

    def place(self, section: str, option: str) -> Location | None:
        """Where the value of an option that counts was written."""
        found = self.journal.options
        place = found.get((section, option)) or found.get((configparser.DEFAULTSECT, option))
        return place if place is not None and place.file else None

    def section_place(self, section: str) -> Location | None:
        """Where a section begins first."""
        place = self.journal.sections.get(section)
        return place if place is not None and place.file else None

    def repeated(self) -> tuple[tuple[str, str, Location, Location], ...]:
        """Section, option, where it stands first, and where it is set again."""
        return tuple(self.journal.repeated)

    def text(self, section: str, option: str, variables: Variables = _NO_VARIABLES) -> str | None:
        """An option's value; None when it is not set. RefusedFile for an interpolation that Barman fails at."""
        if not self.parser.has_option(section, option):
            return None
        try:
            # ConfigParser takes None for a variable without value, though its type says text.
            return self.parser.get(section, option, vars=dict(variables))  # type: ignore[arg-type]
        except configparser.InterpolationError as error:
            raise RefusedFile(_interpolation(section, option, error, self.place(section, option))) from None
        except TypeError:
            message = f"[{section}] {option} refers to an option without a value, and Barman fails at it"
            raise RefusedFile(Problem(message=message, location=self.place(section, option))) from None

    def merge(self, file: NativeFile) -> None:
        """Read one more file; RefusedFile where Barman would end."""
        text = _decoded(file)
        journal = self.journal
        journal.file, journal.line = file.path, 0
        if not self.twice:
            _parse(self.parser, journal, text, file.path)
            return
        alone = _parser(_Journal(file.path))
        _parse(alone.parser, alone.journal, text, file.path)
        self._take_over(alone)

    def _take_over(self, alone: Sections) -> None:
        self.journal.repeated.extend(alone.journal.repeated)
        for section in alone.names():
            if not self.parser.has_section(section):
                self.parser.add_section(section)
                self.journal.sections[section] = alone.section_place(section) or self.journal.here()
            for option in alone.options(section):
                place = alone.place(section, option)
                try:
                    self.parser.set(section, option, alone.text(section, option) or "")
                except ValueError:
                    raise RefusedFile(_lone_percent(section, option, place)) from None
                if place is not None:
                    self.journal.note(section, option, place)


def new_sections(version: EngineVersion) -> Sections:
    """What Barman holds before it read anything."""
    return _parser(_Journal(""), twice=version >= TWO_INTERPOLATIONS)


def comments_above(file: NativeFile, line: int) -> tuple[str, ...]:
    """The comment lines directly above a line, without their marks, save what comments out a setting."""
    lines = io.StringIO(file.content.decode(errors="replace"), newline=None).read().split("\n")
    found: list[str] = []
    for text in reversed(lines[: line - 1]):
        stripped = text.strip()
        if not stripped.startswith(("#", ";")) or _is_disabled_setting(stripped):
            break
        found.append(stripped.lstrip("#;").strip())
    return tuple(text for text in reversed(found) if any(character.isalnum() for character in text))


def _is_disabled_setting(comment: str) -> bool:
    name, separator, _ = comment.lstrip("#; :").partition("=")
    return bool(separator) and name.strip().replace("_", "").isalnum() and " " not in name.strip()


def _parser(journal: _Journal, *, twice: bool = False) -> Sections:
    watched = type("_WatchedHere", (_Watched,), {"journal": journal})
    return Sections(
        parser=configparser.ConfigParser(strict=False, dict_type=watched),
        journal=journal,
        twice=twice,
    )


def _decoded(file: NativeFile) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        message = "this line is not UTF-8, and Barman ends with an error"
        hint = "save the file as UTF-8"
        raise RefusedFile(Problem(message=message, location=Location(file.path, line, 1), hint=hint)) from None


def _parse(parser: configparser.ConfigParser, journal: _Journal, text: str, path: str) -> None:
    try:
        parser.read_file(journal.lines(text), source=path)
    except configparser.MissingSectionHeaderError as error:
        message = "this line stands before the first [section], and Barman ends with an error"
        hint = "begin the file with [barman], or with the server's name in brackets"
        if text.startswith(_MARK):
            hint = "the file begins with a byte order mark: save it without one"
        raise RefusedFile(Problem(message=message, location=Location(path, error.lineno, 1), hint=hint)) from None
    except configparser.ParsingError as error:
        message = "this line is no option (name = value), and Barman ends with an error"
        problems = (Problem(message=message, location=Location(path, line, 1)) for line, _ in error.errors)
        raise RefusedFile(*problems) from None


def _interpolation(
    section: str, option: str, error: configparser.InterpolationError, place: Location | None
) -> Problem:
    match error:
        case configparser.InterpolationMissingOptionError():
            reason = f"refers to %({error.reference})s, which the section does not have"
        case configparser.InterpolationDepthError():
            reason = "refers to itself"
        case _:
            reason = "holds a percent sign that stands alone"
    return Problem(
        message=f"[{section}] {option} {reason}, and Barman ends with an error",
        location=place,
        hint="write a percent sign as %% (%%%% since Barman 3.10)",
    )


def _lone_percent(section: str, option: str, place: Location | None) -> Problem:
    return Problem(
        message=f"[{section}] {option} holds a percent sign that stands alone once %% became %, "
        "and Barman ends with an error",
        location=place,
        hint="since Barman 3.10 write a percent sign as %%%%",
    )
