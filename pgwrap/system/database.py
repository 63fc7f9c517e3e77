"""The psycopg door: asks PostgreSQL servers what they say of themselves, in a process of its own. It changes nothing
in any of them.

The process gives a deadline that no driver call can miss, keeps psycopg out of pgwrap's own start, and lets root
connect as another operating system user. It is this module, run as a program: questions come as JSON by stdin (so no
password is in an argument or the environment), answers go out as JSON lines, each as soon as it is there.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.domain.facts import PostgresView
from pgwrap.system.inquiry import OPTIONAL, SERVER, SETTINGS, unreachable, view_of
from pgwrap.system.launch import Identity
from pgwrap.system.port import PostgresQuestion, Runner

if TYPE_CHECKING:
    import psycopg

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 - PostgreSQL's own default
"""Where a server is looked for when no host is named: the distributions' place, then PostgreSQL's own."""
_AT_ONCE = 16
_PACKAGES = Path(__file__).parents[2]

Question: TypeAlias = Mapping[str, object]
"""What the process is sent: the fields of a PostgresQuestion, or `key`, `dsn` and `run_as`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresDoorway:
    """Looks at servers; see `pgwrap.system.port.PostgresDoor`."""

    runner: Runner
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
        for outcome, group in zip(self.runner.run_all(commands), groups.values(), strict=True):
            views |= {question.key: unreachable(_silence(outcome, deadline)) for question in group}
            views |= _views(outcome.text())
        return views

    def discover(self, dsn: str, deadline: float, run_as: str | None = None) -> PostgresView:
        """Look at the server that a libpq connection string names; the caller's PG* variables count, as in psql."""
        variables = tuple((name, value) for name, value in os.environ.items() if name.startswith("PG"))
        question = {"key": "", "dsn": dsn, "run_as": run_as}
        outcome = self.runner.run(self._command((question,), deadline, _through_sudo(run_as), variables))
        return _views(outcome.text()).get("", unreachable(_silence(outcome, deadline)))

    def _command(
        self,
        questions: tuple[Question, ...],
        deadline: float,
        run_as: str | None,
        variables: tuple[tuple[str, str], ...] = (),
    ) -> Command:
        checkout = () if _PACKAGES.name.endswith("-packages") else (("PYTHONPATH", str(_PACKAGES)),)
        return Command(
            argv=(self.python, "-P", "-m", "pgwrap.system.database"),
            run_as=run_as,
            deadline=deadline,
            environment=(*variables, *checkout),
            stdin=json.dumps({"deadline": deadline, "questions": questions}).encode(),
        )


def _through_sudo(run_as: str | None) -> str | None:
    """Whom the process must be started as: root's process drops its privileges itself, after it has read Python's
    modules, which the other user may not be able to read."""
    return None if os.geteuid() == 0 else run_as


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


def main() -> int:
    """The process: answer the questions of stdin on stdout; the exit code is 0 whatever the servers say."""
    request = json.load(sys.stdin)
    _load_modules()
    groups: dict[str | None, list[Question]] = {}
    for question in request["questions"]:
        groups.setdefault(question["run_as"], []).append(question)
    turn = _Turn()
    children = []
    *others, own = groups
    for user in others:
        child = os.fork()
        if child == 0:
            return _serve(user, groups[user], request["deadline"], turn)
        children.append(child)
    _serve(own, groups[own], request["deadline"], turn)
    return max((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), default=0)


def _load_modules() -> None:
    """Load what is needed later while the files can be read: not every user may read the installation of another."""
    for name in ("concurrent.futures.thread", "encodings.idna", "psycopg"):
        import_module(name)


class _Turn:
    """Lets one thread of one of the forked processes write at a time: a line is longer than a pipe writes at once."""

    def __init__(self) -> None:
        self._take, self._give = os.pipe()
        os.write(self._give, b".")

    def put(self, key: object, answer: Question) -> None:
        """Write one answer."""
        line = memoryview(json.dumps([key, answer]).encode() + b"\n")
        os.read(self._take, 1)
        while line:
            line = line[os.write(1, line) :]
        os.write(self._give, b".")


def _serve(user: str | None, questions: list[Question], deadline: float, turn: _Turn) -> int:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only this process needs it

    refusal = _become(user)

    def answer(question: Question) -> None:
        turn.put(question["key"], {"error": refusal} if refusal else _ask(question, deadline))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(answer, question) for question in questions]:
            future.result()
    return 0


def _become(name: str | None) -> str | None:
    """Drop privileges to a user for good, so that its ~/.pgpass and peer authentication apply; why not, if not."""
    if name is None or name == Identity.current().name:
        return None
    user = Identity.of(name)
    if user is None:
        return f"there is no user {name!r} on this machine to connect as"
    try:
        os.setgroups(user.groups())
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:
        return f"privileges cannot be dropped to user {name}: {error.strerror}"
    os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
    return None


def _ask(question: Question, deadline: float) -> dict[str, object]:
    """Everything that one server says, or `error`: one sentence without the password."""
    import psycopg  # noqa: PLC0415 - only this process loads it

    try:
        with psycopg.connect(_connection_string(question, deadline)) as connection:
            return _interrogate(connection, deadline)
    except psycopg.ProgrammingError as error:
        if question.get("dsn") is not None and error.sqlstate is None:
            return {"error": "the connection string is neither keyword=value pairs nor a postgresql:// URL"}
        return {"error": _sentence(str(error), question)}
    except (psycopg.Error, OSError, UnicodeError) as error:
        return {"error": _sentence(str(error), question)}


def _interrogate(connection: psycopg.Connection[tuple[object, ...]], deadline: float) -> dict[str, object]:
    connection.read_only = True
    connection.execute(
        "select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('statement_timeout', %s, true), "
        "pg_catalog.set_config('TimeZone', 'UTC', true)",
        (str(int(deadline * 1000)),),
    )
    row = connection.execute(SERVER, (list(SETTINGS),)).fetchone()
    answer = dict(row[0]) if row and isinstance(row[0], dict) else {}
    return answer | {name: _optional(connection, sql) for name, sql in OPTIONAL.items()}


def _optional(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> object:
    """The single value of a query, None when the server refuses it; a lost connection is still an error."""
    import psycopg  # noqa: PLC0415 - only this process loads it

    try:
        with connection.transaction():
            row = connection.execute(sql.encode()).fetchone()
    except psycopg.Error:
        if connection.broken:
            raise
        return None
    return row[0] if row else None


def _connection_string(question: Question, deadline: float) -> str:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415 - only this process loads it

    dsn = question.get("dsn")
    if isinstance(dsn, str):
        parameters = conninfo_to_dict(dsn)
    else:
        fields = {name: question.get(name) for name in ("host", "port", "user", "sslmode", "password")}
        fields["dbname"] = question.get("database")
        parameters = {name: value for name, value in fields.items() if isinstance(value, str | int)}
    parameters.setdefault("application_name", "pgwrap")
    parameters.setdefault("connect_timeout", max(2, int(deadline)))
    return make_conninfo("", **parameters | _address(parameters))


def _address(parameters: Mapping[str, object]) -> dict[str, str]:
    """Where to connect, with the name resolved here: libpq would keep every other thread waiting for it."""
    host = parameters.get("host", os.environ.get("PGHOST"))
    if "service" in parameters or "hostaddr" in parameters or "PGSERVICE" in os.environ:
        return {}
    if not host:
        return {"host": ",".join(SOCKET_DIRECTORIES)}
    if not isinstance(host, str) or "/" in host or "," in host or host.startswith("@"):
        return {}
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise OSError(f"the host name {host!r} cannot be resolved: {error.strerror}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return {"host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}


def _sentence(text: str, question: Question) -> str:
    """The line of libpq's message that says why: the server's own refusal, else the first."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()] or ["no reason given"]
    line = next((line for line in lines if "FATAL:" in line), lines[0])
    line = line.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    password = question.get("password")
    return line.replace(password, "<redacted>") if isinstance(password, str) and password else line


if __name__ == "__main__":
    sys.exit(main())
