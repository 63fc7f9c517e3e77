"""Has Barman judge a configuration without doing anything, and finds the passwords in one. It writes no file.

`list-servers` reads every file and asks nobody. Barman fails open: a wrong value only makes a warning, a wrong server
is disabled; both count as a refusal here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from pgwrap.domain.command import Outcome
from pgwrap.domain.model import EngineInstance
from pgwrap.domain.native import NativeFile
from pgwrap.domain.plan import Trial, WriteFile
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.barman.words import owner
from pgwrap.engines.port import TrialRequest
from pgwrap.errors import OutputNotUnderstood

INCLUDE: Final = re.compile(r"^configuration_files_directory\s*[=:].*$", re.MULTILINE)
_OBJECTIONS: Final = ("Invalid ", "Ignoring ", "Conflict", "Error")
_DISABLED: Final = "(WARNING: disabled)"
_PASSWORD: Final = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s'\"]+)", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def trial(request: TrialRequest) -> Trial:
    """One command for the whole installation, against what is in place or a copy of what would be."""
    instance = request.instance
    files: tuple[WriteFile, ...] = ()
    if request.files is not None:
        instance = replace(
            instance, config=f"{request.scratch}/barman.conf", include=f"{request.scratch}/configuration.d"
        )
        files = tuple(copies(request.files, instance))
    servers = tuple(cluster.engine_name for cluster in request.clusters if cluster.active)
    command = commands.barman(
        instance, "-f", "json", "list-servers", run_as=owner(request.instance), deadline=request.deadline
    )
    return Trial(commands=(command,), complaints=_complaints(servers), installation=instance, files=files)


def secrets(text: str) -> tuple[str, ...]:
    """The passwords in connection strings, quotes and all, also those that are commented out."""
    found = [*(match[1] for match in _PASSWORD.finditer(text)), *(match[1] for match in _URL_PASSWORD.finditer(text))]
    return tuple(dict.fromkeys(value for value in found if value.strip("'")))


def copies(files: tuple[NativeFile, ...], instance: EngineInstance) -> Iterator[WriteFile]:
    """The files as they must stand in the scratch directory; what Barman keeps in its home stays there."""
    for file in files:
        text = file.content.decode(errors="replace")
        if file.role == "main":
            redirected = INCLUDE.sub(f"configuration_files_directory = {instance.include}", text)
            yield WriteFile(path=instance.config, text=redirected, mode=0o600)
        elif file.role == "include":
            yield WriteFile(path=f"{instance.include}/{file.path.rpartition('/')[2]}", text=text, mode=0o600)


def _complaints(servers: tuple[str, ...]) -> Callable[[tuple[Outcome, ...]], tuple[str, ...]]:
    def complaints(outcomes: tuple[Outcome, ...]) -> tuple[str, ...]:
        (outcome,) = outcomes
        check_ran(outcome)
        try:
            answer = read_object(outcome.text())
        except OutputNotUnderstood:
            return (f"Barman failed: {reason(outcome)}",)
        said = messages_of(answer)
        found = [*said.errors, *(text for text in said.warnings if text.startswith(_OBJECTIONS))]
        for server in servers:
            if server not in answer.values:
                found.append(f"Barman does not know the server {server}")
            elif _DISABLED in (answer.record(server).text("description") or ""):
                found.append(f"Barman disables the server {server}")
        return tuple(found)

    return complaints
