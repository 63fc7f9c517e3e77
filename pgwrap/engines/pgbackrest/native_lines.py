"""pgBackRest's files as lines, split as its own reader splits them (src/common/ini.c). It knows no option."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from pgwrap.domain.native import NativeFile
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

_SPACE = b" \t\r\n"
_LONGEST_LINE = 65_536
"""Bytes of pgBackRest's read buffer: a line that fills it is never found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One `key=value` with its section."""

    section: str
    key: str
    value: str = field(repr=False)
    place: Location
    comments: tuple[str, ...] = ()
    """The comment lines directly above it, without their mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One `[section]`."""

    section: str
    place: Location
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """All files in the order in which pgBackRest joins them."""

    headers: tuple[Header, ...]
    lines: tuple[Line, ...]
    refusals: tuple[Problem, ...]
    head: tuple[str, ...] = ()
    """What the main file says of itself at its top, set off by an empty line."""

    def section(self, name: str) -> tuple[Line, ...]:
        """The lines of a section, wherever they stand: sections of one name are one."""
        return tuple(line for line in self.lines if line.section == name)

    def header(self, name: str) -> Header | None:
        """Where a section begins first."""
        return next((header for header in self.headers if header.section == name), None)


def split(files: Iterable[NativeFile]) -> Lines:
    """Every line that means something, and what pgBackRest would not read."""
    splitters = [_Splitter(file) for file in files]
    for splitter in splitters:
        splitter.run()
    return Lines(
        headers=tuple(header for splitter in splitters for header in splitter.headers),
        lines=tuple(line for splitter in splitters for line in splitter.lines),
        refusals=tuple(problem for splitter in splitters for problem in splitter.refusals),
        head=splitters[0].head if splitters else (),
    )


class _Splitter:
    """Splits one file; each begins outside of any section."""

    def __init__(self, file: NativeFile) -> None:
        self.file = file
        self.section: str | None = None
        self.comments: list[str] = []
        self.headers: list[Header] = []
        self.lines: list[Line] = []
        self.refusals: list[Problem] = []
        self.head: tuple[str, ...] = ()

    def run(self) -> None:
        for number, raw in enumerate(self.file.content.split(b"\n"), start=1):
            place = Location(self.file.path, number, 1 + len(raw) - len(raw.lstrip(_SPACE)))
            if len(raw) >= _LONGEST_LINE:
                self.refuse("the line is longer than pgBackRest reads (65535 bytes) [042]", place)
            elif b"\0" in raw:
                self.refuse("a NUL byte: this is no text file", place)
            else:
                self.take(raw.strip(_SPACE), place)

    def take(self, text: bytes, place: Location) -> None:
        if not text:
            self.keep_head()
        elif text.startswith(b"#"):
            self.comments.append(_comment(text))
        elif text.startswith(b"["):
            self.open(text, place)
            self.comments.clear()
        else:
            self.add(text, place)
            self.comments.clear()

    def keep_head(self) -> None:
        """Comments that an empty line sets off belong to no setting; at the top they are the file's own."""
        if not self.headers and not self.lines and self.comments:
            self.head = (*self.head, *(("",) if self.head else ()), *self.comments)
        self.comments.clear()

    def open(self, text: bytes, place: Location) -> None:
        if not text.endswith(b"]") or len(text) < 2:
            self.refuse("a section should end with ] [029]", place)
            return
        name = self.decoded(text[1:-1], place)
        if name == "":
            self.refuse("the section has no name [029]", place)
        elif name is not None:
            self.section = name
            self.headers.append(Header(section=name, place=place, comments=tuple(self.comments)))

    def add(self, text: bytes, place: Location) -> None:
        key, equals, value = text.partition(b"=")
        fault = _line_fault(self.section, key.strip(_SPACE), equals, place.line, text)
        if fault:
            self.refuse(fault, place)
            return
        name, said = self.decoded(key.strip(_SPACE), place), self.decoded(value.strip(_SPACE), place)
        if name is not None and said is not None and self.section is not None:
            comments = tuple(self.comments)
            self.lines.append(Line(section=self.section, key=name, value=said, place=place, comments=comments))

    def decoded(self, text: bytes, place: Location) -> str | None:
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            self.refuse(f"byte 0x{text[error.start]:02x} is not UTF-8", place, "save the file as UTF-8")
            return None

    def refuse(self, message: str, place: Location, hint: str = "") -> None:
        self.refusals.append(Problem(message=message, location=place, hint=hint))


def _line_fault(section: str | None, key: bytes, equals: bytes, number: int, text: bytes) -> str:
    if section is None:
        if number == 1 and text.startswith(b"\xef\xbb\xbf"):
            return "a byte order mark, which pgBackRest takes for an option outside of a section [029]"
        return "an option outside of any section [029]"
    if not equals:
        return "neither a section nor an option with = [029]"
    return "" if key else "an option without a name [029]"


def _comment(text: bytes) -> str:
    return text[1:].decode(errors="replace").strip()


def stanzas(lines: Lines) -> Iterator[str]:
    """The names that sections other than [global] give, each once, in the order of the files.

    Spaces belong to a section's name, and no stanza is called so: such a section is never read.
    """
    yield from dict.fromkeys(
        name
        for header in lines.headers
        if (name := header.section.partition(":")[0]) != "global"
        and name == name.strip()
        and header.section.count(":") < 2
    )
