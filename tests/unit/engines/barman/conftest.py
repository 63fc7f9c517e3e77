"""Barman's recordings, and a Barman that answers from them. It tests nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind

Result = TypeVar("Result")
Said = tuple[int, bytes, bytes] | Failure

FILES = "-mindepth 2 -maxdepth 2 -type f"
RECORDINGS = Path(__file__).parents[3] / "recordings" / "barman"


class Replay:
    """A strict Barman: it knows only the argument lists it was given, and remembers what it was asked, by round."""

    def __init__(self, answers: dict[str, Said]) -> None:
        self.answers = answers
        self.rounds: list[tuple[str, ...]] = []

    def say(self, command: Command) -> Outcome:
        """The recorded outcome; KeyError for a command that was not foreseen."""
        said = self.answers[arguments(command)]
        if isinstance(said, Failure):
            return Outcome(command=command, failure=said, message=f"it did not run: {said}")
        code, stdout, stderr = said
        return Outcome(command=command, exit_code=code, stdout=stdout, stderr=stderr)

    def hold(self, conversation: Generator[tuple[Command, ...], tuple[Outcome, ...], Result]) -> Result:
        """Answer round after round until the conversation ends."""
        try:
            commands = next(conversation)
            while True:
                self.rounds.append(tuple(arguments(command) for command in commands))
                commands = conversation.send(tuple(self.say(command) for command in commands))
        except StopIteration as end:
            return end.value


def arguments(command: Command) -> str:
    """The command line without the program and its configuration."""
    argv = command.argv
    return " ".join(argv[3:]) if argv[1:2] == ("-c",) else " ".join(argv)


def recorded(name: str) -> bytes:
    """A recording's bytes; empty where the engine printed nothing."""
    path = RECORDINGS / name
    return path.read_bytes() if path.exists() else b""


def wal_paths(version: str) -> bytes:
    """The paths that `find` would print for s1: the files of its list."""
    names = [wal["name"] for wal in json.loads(recorded(f"{version}/43_sync_info.out"))["wals"]]
    return "".join(f"/srv/lab/h/{version}/s1/wals/{name[:16]}/{name}\n" for name in names).encode()


def index_file(version: str) -> str:
    """Where the index of s1 lies; 3.13 put the server's name in front."""
    directory = f"/srv/lab/h/{version}/s1/wals"
    return f"{directory}/xlog.db" if version in {"3.4.0", "3.10.1"} else f"{directory}/s1-xlog.db"


def index_lines(version: str) -> bytes:
    """The index of s1 at the moment of the other recordings: a line for each file of the list."""
    lines = []
    for wal in json.loads(recorded(f"{version}/43_sync_info.out"))["wals"]:
        fields = [wal["name"], wal["size"], wal["time"], wal["compression"]]
        fields += [wal["encryption"]] if "encryption" in wal else []
        lines.append("\t".join(map(str, fields)) + "\n")
    return "".join(lines).encode()


@pytest.fixture
def recording() -> Callable[[str], str]:
    """Read a recording as text."""
    return lambda name: recorded(name).decode()


@pytest.fixture
def replay() -> Callable[..., Replay]:
    """Make a Barman of one recorded version, some answers replaced; servers s1 and s2 hold WAL, and the index of s2
    may not be read."""

    def make(version: str, *, index: Said | None = None, **changed: Said) -> Replay:
        other = index_file(version).replace("s1", "s2")
        answers: dict[str, Said] = {
            "diagnose": (0, recorded(f"{version}/30_diagnose_raw.out"), recorded(f"{version}/30_diagnose_raw.err")),
            "-f json list-backups all": (0, recorded(f"{version}/22_list_backups_all.out"), b""),
            "sync-info s1": (0, recorded(f"{version}/43_sync_info.out"), b""),
            "sync-info s2": (1, b"", b"ERROR: the list of s2 was not recorded"),
            f"cat -- {index_file(version)}": index or (0, index_lines(version), b""),
            f"cat -- {other}": (1, b"", f"cat: {other}: Permission denied\n".encode()),
            f"find -H /srv/lab/h/{version}/s1/wals {FILES}": (0, wal_paths(version), b""),
            f"find -H /srv/lab/h/{version}/s2/wals {FILES}": (1, b"", b"find: No such file or directory"),
            f"tail -v -c +1 -- {index_file(version)} {other}": (1, b"", b"tail: Permission denied"),
            f"find -H {' '.join(f'/srv/lab/h/{version}/{name}/wals' for name in ('s1', 's2'))} {FILES} -print0": (
                1,
                wal_paths(version).replace(b"\n", b"\0"),
                b"find: No such file or directory",
            ),
            f"cat -- /srv/lab/h/{version}/.barman.auto.conf": (1, b"", b"cat: No such file or directory"),
            "cat -- /var/lib/barman/.barman.auto.conf": (1, b"", b"cat: No such file or directory"),
        }
        return Replay(answers | {key.replace("__", " "): said for key, said in changed.items()})

    return make


@pytest.fixture
def instance() -> EngineInstance:
    """An ordinary Barman of this machine."""
    return EngineInstance(
        name="barman",
        kind=EngineKind.BARMAN,
        command="barman",
        config="/etc/barman.conf",
        include="/etc/barman.d",
        home="/var/lib/barman",
    )


@pytest.fixture
def cluster(instance: EngineInstance) -> Callable[..., Cluster]:
    """Make a cluster of that Barman."""
    return lambda name, **words: Cluster(**{"name": name, "engine_name": name, "engine": instance, **words})
