"""The psycopg door: a program that asks PostgreSQL servers what they say of themselves. It changes nothing in any, save
that it closes a WAL segment, or runs statements that it is given, where that is asked for.

Questions come as JSON by stdin (so no password is in an argument or the environment), answers go out as JSON lines,
each as soon as it is there. Every status waits for it: it loads psycopg, the standard library and the statements only.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - see below
import json
import os
import pwd
import socket
import sys
from collections.abc import Mapping
from concurrent.futures.thread import ThreadPoolExecutor
from time import monotonic

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgwrap.system.statements import ACTIONS, ALL_OPTIONAL, OPTIONAL, SERVER, SETTINGS

# All that is needed later is loaded above: not every user that this becomes may read the installation of another.

SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108 - PostgreSQL's own default
"""Where a server is looked for when no host is named: the distributions' place, then PostgreSQL's own."""
_AT_ONCE = 16
_BOOLEAN = 16
"""The type's number in pg_type."""

Question = Mapping[str, object]
"""What it is sent: the fields of a `pgwrap.system.port.PostgresQuestion`, or `key`, `dsn` and `run_as`; with `action`
it is one of `ACTIONS` that is wanted, with `statements` and `read_only` these are run."""


def main() -> int:
    """The process: answer the questions of stdin on stdout; the exit code is 0 whatever the servers say."""
    request = json.load(sys.stdin)
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
    refusal = _become(user)

    def answer(question: Question) -> None:
        turn.put(question["key"], {"error": refusal} if refusal else _ask(question, deadline))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(answer, question) for question in questions]:
            future.result()
    return 0


def _become(name: str | None) -> str | None:
    """Drop privileges to a user for good, so that its ~/.pgpass and peer authentication apply; why not, if not."""
    if name is None:
        return None
    try:
        user = pwd.getpwnam(name)
    except (KeyError, ValueError):
        nobody_else = name == os.environ.get("USER")  # who runs this, in a container without an entry for them
        return None if nobody_else else f"there is no user {name!r} on this machine to connect as"
    if user.pw_uid == os.geteuid():
        return None
    try:
        os.setgroups(os.getgrouplist(name, user.pw_gid))
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    except OSError as error:
        return f"privileges cannot be dropped to user {name}: {error.strerror}"
    os.environ.update(HOME=user.pw_dir, USER=name, LOGNAME=name)
    return None


def _ask(question: Question, deadline: float) -> dict[str, object]:
    """Everything that one server says, or `error`: one sentence without the password."""
    try:
        with psycopg.connect(_connection_string(question, deadline)) as connection:
            return _answer(connection, question, deadline)
    except psycopg.ProgrammingError as error:
        if question.get("dsn") is not None and error.sqlstate is None:
            return {"error": "the connection string is neither keyword=value pairs nor a postgresql:// URL"}
        return {"error": _sentence(str(error), question)}
    except (psycopg.Error, OSError, UnicodeError) as error:
        return {"error": _sentence(str(error), question)}


def _answer(
    connection: psycopg.Connection[tuple[object, ...]], question: Question, deadline: float
) -> dict[str, object]:
    if question.get("action"):
        return _act(connection, str(question["action"]), deadline)
    if question.get("statements") is not None:
        return _run(connection, question, deadline)
    return _interrogate(connection, deadline)


def _interrogate(connection: psycopg.Connection[tuple[object, ...]], deadline: float) -> dict[str, object]:
    connection.read_only = True
    connection.execute(
        "select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('statement_timeout', %s, true), "
        "pg_catalog.set_config('TimeZone', 'UTC', true)",
        (str(int(deadline * 1000)),),
    )
    row = connection.execute(SERVER, (list(SETTINGS), list(SETTINGS))).fetchone()
    answer = dict(row[0]) if row and isinstance(row[0], dict) else {}
    together = _optional(connection, ALL_OPTIONAL)
    if isinstance(together, dict):
        return answer | together
    return answer | {name: _optional(connection, sql) for name, sql in OPTIONAL.items()}


def _act(connection: psycopg.Connection[tuple[object, ...]], action: str, deadline: float) -> dict[str, object]:
    """Run an action's statements, each by itself; the value of the column called `answer`."""
    connection.autocommit = True
    connection.execute("select pg_catalog.set_config('statement_timeout', %s, false)", (str(int(deadline * 1000)),))
    answer: dict[str, object] = {}
    for sql in ACTIONS[action]:
        cursor = connection.execute(sql.encode())
        row = cursor.fetchone()
        if row and cursor.description and cursor.description[0].name == "answer":
            answer["value"] = row[0]
    return answer


def _run(connection: psycopg.Connection[tuple[object, ...]], question: Question, deadline: float) -> dict[str, object]:
    """Each of `statements` in a transaction of its own; `results` has the rows or the refusal of each."""
    connection.autocommit = True
    statements = question["statements"]
    listed = statements if isinstance(statements, list) else []
    milliseconds = str(int(deadline * 900 / max(1, len(listed))))
    connection.execute(
        "select pg_catalog.set_config('TimeZone', 'UTC', false), pg_catalog.set_config('DateStyle', 'ISO', false), "
        "pg_catalog.set_config('default_transaction_read_only', %s, false), "
        "pg_catalog.set_config('statement_timeout', %s, false), pg_catalog.set_config('lock_timeout', %s, false)",
        ("on" if question.get("read_only") else "off", milliseconds, milliseconds),
    )
    return {"results": [_one(connection, str(sql)) for sql in listed]}


def _one(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> dict[str, object]:
    started = monotonic()
    try:
        cursor = connection.execute(sql.encode(), prepare=True)  # parsed as one statement, never as several
        rows = _texts(cursor) if cursor.description else []
        return {"rows": rows, "seconds": monotonic() - started}
    except psycopg.Error as error:
        refused = error.sqlstate is not None and not connection.broken
        return {"error": _sentence(str(error), {}), "refused": refused, "seconds": monotonic() - started}


def _texts(cursor: psycopg.Cursor[tuple[object, ...]]) -> list[list[str | None]]:
    """The rows as PostgreSQL writes them, save booleans."""
    result = cursor.pgresult
    if result is None:
        return []
    return [
        [_text(result.get_value(row, column), result.ftype(column)) for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]


def _text(value: bytes | None, type_id: int) -> str | None:
    if value is None:
        return None
    text = bytes(value).decode(errors="replace")
    return {"t": "true", "f": "false"}.get(text, text) if type_id == _BOOLEAN else text


def _optional(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> object:
    """The single value of a query, None when the server refuses it; a lost connection is still an error."""
    try:
        with connection.transaction():
            row = connection.execute(sql.encode()).fetchone()
    except psycopg.Error:
        if connection.broken:
            raise
        return None
    return row[0] if row else None


def _connection_string(question: Question, deadline: float) -> str:
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
