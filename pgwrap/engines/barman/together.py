"""One process for what is to be read of several servers: their indexes of WAL, or the names of their WAL files.

It only saves processes. Whatever is not beyond doubt (a file or directory that cannot be read, a content that looks
like the line before another) is left out, and the server is to be asked by itself. Nothing is asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import EngineInstance
from pgwrap.engines.barman import commands
from pgwrap.records import dataclass

Key: TypeAlias = tuple[str, str]
"""A question of the later rounds: what is asked, and of which cluster (for `overrides`: of which user)."""
Join: TypeAlias = Callable[[EngineInstance, tuple[str, ...], str | None, float], Command]
Parts: TypeAlias = Callable[[bytes, tuple[str, ...]], Mapping[str, bytes]]
"""Takes what the common command printed for these paths apart, by path."""
PATHS_AT_ONCE = 100
"""Over ssh the whole command line is one argument, of at most 128 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A command about one server."""

    command: Command
    path: str = ""
    """The file or directory that it reads, where others of its kind can be read with it; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """One command in place of several."""

    command: Command
    instead_of: Mapping[Key, Question]
    parts: Parts

    def answers(self, outcome: Outcome) -> dict[Key, Outcome]:
        """What each of the commands would have brought; nothing for those of which that is not certain."""
        parts = self.parts(outcome.stdout, _paths(self.instead_of)) if outcome.succeeded else {}
        return {
            key: Outcome(command=question.command, exit_code=0, stdout=parts[question.path], seconds=outcome.seconds)
            for key, question in self.instead_of.items()
            if question.path in parts
        }


def commons(instance: EngineInstance, questions: Mapping[Key, Question]) -> Iterator[Common]:
    """The commands that stand for several of the questions each."""
    grouped: dict[tuple[str, str | None], dict[Key, Question]] = {}
    for key, question in questions.items():
        if question.path and question.path.isprintable():
            grouped.setdefault((key[0], question.command.run_as), {})[key] = question
    for (kind, user), members in grouped.items():
        join, parts = _KINDS[kind]
        for some in _some_at_a_time(members):
            deadline = max(question.command.deadline for question in some.values())
            yield Common(command=join(instance, _paths(some), user, deadline), instead_of=some, parts=parts)


def _some_at_a_time(members: Mapping[Key, Question]) -> Iterator[dict[Key, Question]]:
    """The questions in portions; one alone is not joined with anything."""
    items = tuple(members.items())
    for start in range(0, len(items), PATHS_AT_ONCE):
        some = dict(items[start : start + PATHS_AT_ONCE])
        if len(_paths(some)) > 1:
            yield some


def _paths(questions: Mapping[Key, Question]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(question.path for question in questions.values()))


def index_parts(stdout: bytes, paths: tuple[str, ...]) -> Mapping[str, bytes]:
    """The files that `tail -v` printed. Each one's heading is certainly there, so one that is there only once is no
    file's content; else nothing is returned.
    """
    headings = tuple(f"==> {path} <==\n".encode() for path in paths)
    if any(stdout.count(heading) != 1 for heading in headings):
        return {}
    begins = tuple(stdout.index(heading) for heading in headings)
    ends = (*(begin - 1 for begin in begins[1:]), len(stdout))  # a line break stands before each but the first
    if begins[0] != 0 or list(begins) != sorted(begins):
        return {}
    return {
        path: stdout[begin + len(heading) : end]
        for path, heading, begin, end in zip(paths, headings, begins, ends, strict=True)
    }


def file_parts(stdout: bytes, paths: tuple[str, ...]) -> Mapping[str, bytes]:
    """The paths of files, a line each, by the directory two levels above them."""
    directories = {path.rstrip("/").encode(): path for path in paths}
    found: dict[bytes, list[bytes]] = {directory: [] for directory in directories}
    for file in stdout.split(b"\0")[:-1]:
        above = file.rsplit(b"/", 2)[0].rstrip(b"/")
        if above not in found:
            return {}
        found[above].append(file + b"\n")
    return {directories[directory]: b"".join(files) for directory, files in found.items()}


_KINDS: Mapping[str, tuple[Join, Parts]] = {
    "index": (commands.wal_indexes, index_parts),
    "files": (commands.all_wal_files, file_parts),
}
