"""The PostgreSQL door: has servers asked what they say of themselves, by a process of its own. It connects to none.

The process is `pgwrap.system.prober`. It gives a deadline that no driver call can miss, keeps psycopg out of pgwrap's
own start, and lets root connect as another operating system user.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.facts import PostgresView
from pgwrap.records import dataclass
from pgwrap.system.inquiry import unreachable, view_of
from pgwrap.system.launch import Identity
from pgwrap.system.port import Copying, PostgresQuestion, Runner, SqlResult, WalSwitch
from pgwrap.system.process import Waiting

_PACKAGES = Path(__file__).parents[2]

Question: TypeAlias = Mapping[str, object]
"""What the process is sent: the fields of a PostgresQuestion, or `key`, `dsn` and `run_as`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresDoorway:
    """Looks at servers; see `pgwrap.system.port.PostgresDoor`."""

    runner: Runner
    waiting: deque[Waiting] = field(default_factory=deque)
    """Processes that were started ahead: loading psycopg takes longer than most servers need to answer."""
    python: str = field(default_factory=lambda: sys.executable)

    def look(self, questions: tuple[PostgresQuestion, ...], deadline: float) -> dict[str, PostgresView]:
        """Ask every server side by side; an answer to each question's key, within `deadline` seconds.

        A server that is down, refuses, or does not answer in time is `reachable=False` with a sentence in `error`.
        """
        groups: dict[str | None, list[PostgresQuestion]] = {}
        for question in questions:
            groups.setdefault(_through_sudo(question.run_as), []).append(question)
        commands = tuple(
            self._command(tuple(asdict(question) for question in group), deadline, run_as)
            for run_as, group in groups.items()
        )
        views: dict[str, PostgresView] = {}
        for outcome, group in zip(self._run(commands), groups.values(), strict=True):
            views |= {question.key: unreachable(_silence(outcome, deadline)) for question in group}
            views |= _views(outcome.text())
        return views

    def _run(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        if self.waiting and [command.run_as for command in commands] == [None]:
            return (self.waiting.popleft().finish(commands[0]),)
        return self.runner.run_all(commands)

    def discover(self, dsn: str, deadline: float, run_as: str | None = None) -> PostgresView:
        """Look at the server that a libpq connection string names; the caller's PG* variables count, as in psql."""
        variables = tuple((name, value) for name, value in os.environ.items() if name.startswith("PG"))
        question = {"key": "", "dsn": dsn, "run_as": run_as}
        outcome = self.runner.run(self._command((question,), deadline, _through_sudo(run_as), variables))
        return _views(outcome.text()).get("", unreachable(_silence(outcome, deadline)))

    def switch_wal(self, question: PostgresQuestion, deadline: float) -> WalSwitch:
        """Close the current WAL segment; why not, where the server or the role does not allow it."""
        answer = self._act(question, "switch-wal", deadline)
        value, error = answer.get("value"), answer.get("error")
        if isinstance(value, str):
            return WalSwitch(segment=value)
        return WalSwitch(error=str(error) if error else "PostgreSQL named no segment")

    def copying(self, question: PostgresQuestion, deadline: float) -> Copying | None:
        """What pg_stat_progress_basebackup shows, when it is one base backup; PostgreSQL 13 and later."""
        match self._act(question, "copying", deadline).get("value"):
            case [int(done), total, 1]:
                return Copying(done_bytes=done, total_bytes=total if isinstance(total, int) else None)
            case _:
                return None

    def run(
        self, question: PostgresQuestion, statements: tuple[str, ...], deadline: float, *, read_only: bool
    ) -> tuple[SqlResult, ...]:
        """Run each statement by itself; see `pgwrap.system.port.SqlDoor`."""
        answer = self._ask(question, {"statements": statements, "read_only": read_only}, deadline)
        if "results" in answer:
            return tuple(_result(result) for result in answer["results"])
        return (SqlResult(error=str(answer["error"])),) * len(statements)

    def _act(self, question: PostgresQuestion, action: str, deadline: float) -> Mapping[str, Any]:
        """What the server answers to one of `statements.ACTIONS`: `value` or `error`."""
        return self._ask(question, {"action": action}, deadline)

    def _ask(self, question: PostgresQuestion, wanted: Mapping[str, object], deadline: float) -> Mapping[str, Any]:
        asked = {**asdict(question), **wanted}
        (outcome,) = self._run((self._command((asked,), deadline, _through_sudo(question.run_as)),))
        for line in outcome.text().splitlines(keepends=True):
            if line.endswith("\n"):
                _, answer = json.loads(line)
                return dict(answer)
        return {"error": _silence(outcome, deadline)}

    def _command(
        self,
        questions: tuple[Question, ...],
        deadline: float,
        run_as: str | None,
        variables: tuple[tuple[str, str], ...] = (),
    ) -> Command:
        command = prober(self.python)
        return replace(
            command,
            run_as=run_as,
            deadline=deadline,
            environment=(*variables, *command.environment),
            stdin=json.dumps({"deadline": deadline, "questions": questions}).encode(),
        )


def prober(python: str = sys.executable) -> Command:
    """The program that asks, without its questions, as whoever runs pgwrap."""
    checkout = () if _PACKAGES.name.endswith("-packages") else (("PYTHONPATH", str(_PACKAGES)),)
    return Command(argv=(python, "-P", "-m", "pgwrap.system.prober"), environment=checkout)


def _result(answer: Mapping[str, Any]) -> SqlResult:
    rows = tuple(tuple(row) for row in answer.get("rows", ()))
    return SqlResult(
        rows=rows, error=answer.get("error"), refused=bool(answer.get("refused")), seconds=answer["seconds"]
    )


def _through_sudo(run_as: str | None) -> str | None:
    """Whom the process must be started as: root's process drops its privileges itself, after it has read Python's
    modules, which the other user may not be able to read."""
    return None if os.geteuid() == 0 or run_as == Identity.current().name else run_as


def _silence(outcome: Outcome, deadline: float) -> str:
    """Why a question got no answer."""
    if outcome.failure is Failure.TIMEOUT:
        return f"no answer within {deadline:g} s"
    if outcome.failure is not None:
        return outcome.message
    last = outcome.error_text().strip().splitlines()[-1:] or ["no reason given"]
    return f"PostgreSQL could not be asked: {last[0]}"


def _views(text: str) -> dict[str, PostgresView]:
    views = {}
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):  # else it was cut off at the deadline
            key, answer = json.loads(line)
            views[key] = _view(answer)
    return views


def _view(answer: Mapping[str, object]) -> PostgresView:
    try:
        return view_of(answer)
    except ValueError as error:
        return unreachable(f"PostgreSQL's answer was not understood: {error}")
