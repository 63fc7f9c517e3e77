"""Has pgBackRest judge a configuration without doing anything, and finds the secrets in one. It writes no file.

No command of pgBackRest only reads its configuration, and none checks options that it does not use itself. So the two
commands that use the most are called below a lock path of their own that holds a stop file: they read and check every
option, then end with [062] before anything else (`lockStopTest`, first thing in src/command/backup/backup.c). In the
same way [072], this command belongs on another host, comes after all options were read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import Cluster, EngineInstance
from pgwrap.domain.plan import Trial, WriteFile
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for, sentence
from pgwrap.engines.pgbackrest.options import find
from pgwrap.engines.pgbackrest.output import reported_error, warnings_in
from pgwrap.engines.port import TrialRequest

_STOPPED: Final = 62
_WRONG_HOST: Final = 72
_JUDGED: Final = (_STOPPED, _WRONG_HOST)
_OBJECTION: Final = "configuration file contains "
"""How each warning of an option that is ignored begins (src/config/parse.c)."""


def trial(request: TrialRequest) -> Trial:
    """Two commands for each cluster, against what is in place or a copy of what would be."""
    instance = _copy(request) if request.files is not None else request.instance
    files = [WriteFile(path=f"{request.scratch}/all.stop", text="", mode=0o600)]
    for file in request.files or ():
        path = instance.config if file.role == "main" else f"{instance.include}/{file.path.rpartition('/')[2]}"
        files.append(WriteFile(path=path, text=file.content.decode(errors="replace"), mode=0o600))
    commands = (command for cluster in request.clusters for command in _commands(request, instance, cluster))
    return Trial(commands=tuple(commands), complaints=_complaints, installation=instance, files=tuple(files))


def secrets(text: str) -> tuple[str, ...]:
    """The values of the options that pgBackRest itself keeps out of its logs, also those that are commented out."""
    return tuple(dict.fromkeys(_secrets(text)))


def _secrets(text: str) -> Iterator[str]:
    for line in text.splitlines():
        key, equals, value = line.lstrip("#; \t").partition("=")
        option = find(key.strip()) if equals else None
        if option is not None and option.secure and value.strip():
            yield value.strip()


def _copy(request: TrialRequest) -> EngineInstance:
    """The installation as it stands in the scratch directory."""
    includes = any(file.role == "include" for file in request.files or ())
    include = f"{request.scratch}/conf.d" if includes else None
    return replace(request.instance, config=f"{request.scratch}/pgbackrest.conf", include=include)


def _commands(request: TrialRequest, instance: EngineInstance, cluster: Cluster) -> Iterator[Command]:
    for words in (("backup",), ("--no-archive-async", "archive-push", f"{request.scratch}/no-such-segment")):
        yield Command(
            argv=(
                instance.command,
                *configuration_arguments(instance),
                f"--stanza={cluster.engine_name}",
                f"--lock-path={request.scratch}",
                "--log-level-console=warn",
                "--log-level-file=off",
                "--log-level-stderr=off",
                *words,
            ),
            run_as=cluster.run_as,
            host=instance.host,
            deadline=request.deadline,
        )


def _complaints(outcomes: tuple[Outcome, ...]) -> tuple[str, ...]:
    said: dict[str, None] = {}
    for outcome in outcomes:
        if outcome.failure is not None:
            raise_for(outcome)
        said |= dict.fromkeys(text for text in warnings_in(outcome) if text.startswith(_OBJECTION))
        if outcome.exit_code not in _JUDGED:
            said[sentence(outcome, reported_error(outcome))] = None
    return tuple(said)
