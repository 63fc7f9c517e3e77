"""Clusters, recorded answers and a driver for conversations, shared by the tests of the pgBackRest engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pgwrap.domain.command import Command, Conversation, Failure, Outcome
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Repository

Result = TypeVar("Result")

RECORDINGS = Path(__file__).parents[3] / "recordings" / "pgbackrest"
GOLDEN = Path(__file__).parents[3] / "golden" / "pgbackrest"
VERSIONS = ("2.45", "2.55.1", "2.60.0")

INSTANCE = EngineInstance(
    name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/etc/pgbackrest/pgbackrest.conf"
)
LOCAL = Repository(name="local", path="/var/lib/pgbackrest")
RECORDED_REPOSITORIES = 2
OFFSITE = Repository(name="offsite", path="/mnt/offsite")


def cluster(name: str = "main", repositories: tuple[Repository, ...] = (LOCAL, OFFSITE)) -> Cluster:
    """A cluster whose stanza has its own name."""
    return Cluster(name=name, engine=INSTANCE, engine_name=name, repositories=repositories)


def recorded(version: str, name: str) -> bytes:
    """A recorded output, byte for byte."""
    return (RECORDINGS / version / name).read_bytes()


def stream(version: str, stem: str, *, error: bool = False) -> bytes:
    """A recorded stdout (or stderr); empty where that version printed nothing there."""
    path = RECORDINGS / version / f"{stem}.{'err' if error else 'out'}"
    return path.read_bytes() if path.exists() else b""


def outcome(command: Command, stdout: bytes = b"", *, stderr: bytes = b"", exit_code: int = 0) -> Outcome:
    """A command that ran to its end."""
    return Outcome(command=command, exit_code=exit_code, stdout=stdout, stderr=stderr)


def failed(command: Command, failure: Failure) -> Outcome:
    """A command that gave no exit code."""
    return Outcome(command=command, failure=failure, message=f"{command.argv[0]}: {failure}")


def drive(
    conversation: Conversation[Result], answer: Callable[[Command], Outcome]
) -> tuple[Result, tuple[tuple[Command, ...], ...]]:
    """Hold a conversation with `answer` for the world; its result, and the commands of each round."""
    rounds: list[tuple[Command, ...]] = []
    try:
        asked = next(conversation)
        while True:
            rounds.append(asked)
            asked = conversation.send(tuple(answer(command) for command in asked))
    except StopIteration as stop:
        return stop.value, tuple(rounds)


def replaying(version: str, info: str = "info_timeline_2.json") -> Callable[[Command], Outcome]:
    """A world in which pgBackRest answers what that version once answered."""

    def answer(command: Command) -> Outcome:
        words = set(command.argv)
        if "version" in words:
            return outcome(command, recorded(version, "version.out"))
        if "info" in words:
            return outcome(command, recorded(version, info))
        if "repo-ls" in words:
            key = next(word for word in command.argv if word.startswith("--repo=")).removeprefix("--repo=")
            if int(key) > RECORDED_REPOSITORIES:  # as it says of a repository that its files do not have
                return outcome(command, exit_code=32)
            return outcome(command, recorded(version, f"repo_ls_archive_{key}.json"))
        return outcome(command, recorded(version, "00000002.history"))

    return answer
