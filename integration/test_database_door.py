"""The psycopg door against a throwaway PostgreSQL on a socket and a loopback port, and against servers that fail."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgwrap.domain.facts import PostgresView
from pgwrap.system.database import PostgresDoorway
from pgwrap.system.port import PostgresQuestion
from pgwrap.system.process import ProcessRunner

IS_ROOT = os.geteuid() == 0
OWNER = "postgres" if IS_ROOT else getpass.getuser()
DEADLINE = 20.0
"""Generous: the machine may be busy. Tests of the deadline itself state their own."""
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root connects as another operating system user")


def program(name: str) -> str | None:
    """The newest installed PostgreSQL's program, or the one on PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(installed[-1]) if installed else shutil.which(name)


def as_owner(*argv: str) -> str:
    """The output of a program run as the servers' owner."""
    become = {"user": OWNER, "group": pwd.getpwnam(OWNER).pw_gid, "extra_groups": []} if IS_ROOT else {}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # type: ignore[call-overload]
        argv, check=True, capture_output=True, text=True, cwd="/", env=environment, **become
    )
    return str(done.stdout)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """A primary and its standby, in one directory that holds both sockets."""

    directory: Path
    port: int
    standby_port: int

    @property
    def by_socket(self) -> PostgresQuestion:
        """Peer authentication as the owner."""
        return PostgresQuestion(
            key="lab",
            host=str(self.directory),
            port=self.port,
            user=None,
            database="postgres",
            run_as=OWNER,
        )

    def by_password(self, user: str, password: str | None) -> PostgresQuestion:
        """Password authentication over loopback."""
        question = replace(self.by_socket, host="127.0.0.1", user=user, password=password, run_as=None)
        return replace(question, sslmode="prefer")

    def control(self, name: str, *arguments: str) -> None:
        """pg_ctl on one of the two servers, whose log is beside its data: it must not inherit our pipes."""
        directory = self.directory / name
        as_owner(str(program("pg_ctl")), "-D", str(directory), "-l", f"{directory}.log", "-s", *arguments)


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """The laboratory, running."""
    if program("initdb") is None or program("pg_basebackup") is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    directory = Path(tempfile.mkdtemp(prefix="pgwrap-pg-", dir="/var/tmp"))
    if IS_ROOT:
        shutil.chown(directory, OWNER)
    directory.chmod(0o755)
    laboratory = Laboratory(directory=directory, port=free_port(), standby_port=free_port())
    try:
        _create(laboratory)
        yield laboratory
    finally:
        for name in ("standby", "primary"):
            if (directory / name / "postmaster.pid").exists():
                laboratory.control(name, "-m", "immediate", "stop")
        shutil.rmtree(directory)


def _create(lab: Laboratory) -> None:
    primary, standby = lab.directory / "primary", lab.directory / "standby"
    rules = ("--auth-local=peer", "--auth-host=scram-sha-256")
    as_owner(str(program("initdb")), "-D", str(primary), "-U", OWNER, "-k", "--wal-segsize=1", "-N", *rules)
    with (primary / "postgresql.conf").open("a") as config:
        config.write(
            f"port = {lab.port}\nunix_socket_directories = '{lab.directory}'\nlisten_addresses = '127.0.0.1'\n"
            "fsync = off\narchive_mode = on\narchive_command = 'test ! -e %p'\ncluster_name = 'lab'\n"
        )
    lab.control("primary", "start")
    connection = ("-h", str(lab.directory), "-p", str(lab.port))
    as_owner(
        *(str(program("psql")), *connection, "-d", "postgres", "-qAt"),
        *("-c", "create role monitor login password 'monitor''s \\ password' in role pg_monitor"),
        *("-c", "create role visitor login password 'visitor'"),
        *("-c", "create role crowd login password 'crowd' connection limit 0"),
        *("-c", "select pg_create_physical_replication_slot('slot', true)"),
        *("-c", "create table t (i int)", "-c", "select pg_switch_wal()"),
    )
    as_owner(str(program("pg_basebackup")), *connection, "-D", str(standby), "-R", "-c", "fast")
    with (standby / "postgresql.conf").open("a") as config:
        config.write(f"port = {lab.standby_port}\n")
    lab.control("standby", "start")


@pytest.fixture
def door() -> PostgresDoorway:
    """The door as the cli makes it."""
    return PostgresDoorway(runner=ProcessRunner())


def ask(door: PostgresDoorway, question: PostgresQuestion) -> PostgresView:
    """The view of one server."""
    return door.look((question,), DEADLINE)[question.key]


def test_primary_tells_everything_to_its_owner(door: PostgresDoorway, lab: Laboratory) -> None:
    """Over the socket the cluster's owner, or root on its behalf, sees every fact."""
    view = ask(door, lab.by_socket)
    assert (view.reachable, view.error, view.in_recovery, view.timeline) == (True, None, False, 1)
    assert (view.data_checksums, view.wal_segment_size) == (True, 1 << 20)
    assert view.version is not None
    assert view.version_number is not None
    assert view.version.split(".")[0] == str(view.version_number // 10000)
    assert view.system_identifier is not None
    assert view.system_identifier.isdecimal()
    assert view.current_lsn is not None
    assert view.clock is not None
    assert abs(datetime.now(UTC) - view.clock) < timedelta(minutes=1)
    assert view.ready_segments is not None
    assert view.ready_segments >= 1
    assert view.archiver is not None
    assert [slot.name for slot in view.slots] == ["slot"]
    expected = {"archive_mode": "on", "cluster_name": "lab", "data_directory": str(lab.directory / "primary")}
    assert expected.items() <= dict(view.settings).items()


def test_monitoring_role_sees_what_it_needs(door: PostgresDoorway, lab: Laboratory) -> None:
    """A member of pg_monitor with a difficult password sees the archiver's queue and the data directory."""
    view = ask(door, lab.by_password("monitor", "monitor's \\ password"))
    assert (view.reachable, view.error) == (True, None)
    assert view.ready_segments is not None
    assert "data_directory" in dict(view.settings)


def test_role_without_privileges_loses_only_what_needs_them(door: PostgresDoorway, lab: Laboratory) -> None:
    """What the role may not see is unknown, everything else is there."""
    view = ask(door, lab.by_password("visitor", "visitor"))
    assert (view.reachable, view.ready_segments, view.timeline, view.in_recovery) == (True, None, 1, False)
    assert "data_directory" not in dict(view.settings)


def test_standby_tells_what_it_replayed(door: PostgresDoorway, lab: Laboratory) -> None:
    """A standby is reachable, in recovery, and has a position and a timeline."""
    view = ask(door, replace(lab.by_socket, port=lab.standby_port))
    assert (view.reachable, view.in_recovery, view.timeline) == (True, True, 1)
    assert view.current_lsn is not None


def test_wrong_password_is_one_sentence_without_it(door: PostgresDoorway, lab: Laboratory) -> None:
    """The server's refusal is told, the password is not."""
    view = ask(door, lab.by_password("visitor", "s3cret-guess"))
    assert view.error is not None
    assert view.error.endswith('FATAL: password authentication failed for user "visitor"')
    assert "s3cret" not in view.error


def test_missing_password_is_told(door: PostgresDoorway, lab: Laboratory) -> None:
    """Nobody is asked for a password that is not there."""
    view = ask(door, lab.by_password("visitor", None))
    assert (view.reachable, "no password supplied" in str(view.error)) == (False, True)


def test_too_many_connections_are_told(door: PostgresDoorway, lab: Laboratory) -> None:
    """A server that has no connection left says so."""
    assert "too many connections" in str(ask(door, lab.by_password("crowd", "crowd")).error)


def test_servers_that_are_down_are_told_apart(door: PostgresDoorway, lab: Laboratory) -> None:
    """Nothing behind a socket, nothing on a port, no such database, no such name: each is one sentence."""
    port = free_port()
    questions = (
        replace(lab.by_socket, key="socket", port=port),
        replace(lab.by_socket, key="port", host="127.0.0.1", port=port),
        replace(lab.by_socket, key="database", database="nothing"),
        replace(lab.by_socket, key="name", host="no-such-host.invalid"),
    )
    views = door.look(questions, DEADLINE)
    expected = {
        "socket": "No such file or directory",
        "port": "Connection refused",
        "database": 'database "nothing" does not exist',
        "name": "cannot be resolved",
    }
    for key, words in expected.items():
        assert (views[key].reachable, words in str(views[key].error)) == (False, True), views[key].error
        assert "\n" not in str(views[key].error)


def test_silent_server_does_not_delay_the_others(door: PostgresDoorway, lab: Laboratory) -> None:
    """A server that accepts and says nothing is given up at the deadline; the others have answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        questions = (
            lab.by_socket,
            replace(lab.by_socket, key="silent", host="127.0.0.1", port=silent.getsockname()[1]),
        )
        views = door.look(questions, 5.0)
    assert (views["silent"].reachable, views["silent"].error) == (False, "no answer within 5 s")
    assert views["lab"].reachable


def test_server_that_talks_nonsense_is_told(door: PostgresDoorway, lab: Laboratory) -> None:
    """Something else on PostgreSQL's port gets a sentence, not a crash."""
    script = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "while True:\n c, _ = s.accept(); c.recv(8); c.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n'); c.close()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        question = replace(lab.by_socket, host="127.0.0.1", port=int(server.stdout.readline()))
        view = ask(door, question)
        server.terminate()
    assert (view.reachable, bool(view.error)) == (False, True)


@needs_root
def test_root_asks_as_several_users_at_once(door: PostgresDoorway, lab: Laboratory) -> None:
    """Each question is asked as its own operating system user, and all answers come together."""
    questions = (
        lab.by_socket,
        replace(lab.by_socket, key="root", run_as=None),
        replace(lab.by_socket, key="nobody", run_as="nobody"),
        replace(lab.by_socket, key="unknown", run_as="pgwrap-nobody"),
    )
    views = door.look(questions, DEADLINE)
    assert views["lab"].reachable
    assert 'role "root" does not exist' in str(views["root"].error)
    assert 'role "nobody" does not exist' in str(views["nobody"].error)
    assert "there is no user 'pgwrap-nobody'" in str(views["unknown"].error)


def test_password_shows_in_no_process(door: PostgresDoorway) -> None:
    """While a server is being asked, the asking process has the password in no argument and no variable."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} password=s3cret-in-flight"
        command = door._command(({"key": "", "dsn": dsn, "run_as": None},), 5.0, None)
        assert command.stdin is not None
        environment = dict(os.environ) | dict(command.environment)
        with subprocess.Popen(
            command.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
        ) as asking:
            assert asking.stdin is not None
            asking.stdin.write(command.stdin)
            asking.stdin.close()
            with silent.accept()[0] as connection:
                connection.recv(8)
                shown = [Path(f"/proc/{asking.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
                asking.kill()
    assert not any(b"s3cret" in content for content in shown)


def test_discovery_takes_both_forms_of_connection_string(door: PostgresDoorway, lab: Laboratory) -> None:
    """Keyword=value pairs and a URL lead to the same server."""
    pairs = f"host=127.0.0.1 port={lab.port} user=visitor password=visitor dbname=postgres"
    url = f"postgresql://visitor:visitor@127.0.0.1:{lab.port}/postgres"
    views = [door.discover(dsn, DEADLINE) for dsn in (pairs, url)]
    assert [view.error for view in views] == [None, None]
    assert views[0].system_identifier == views[1].system_identifier


def test_discovery_understands_the_callers_variables(
    door: PostgresDoorway, lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty connection string means what it means to psql."""
    for name, value in {"HOST": "127.0.0.1", "PORT": str(lab.port), "USER": "visitor", "PASSWORD": "visitor"}.items():
        monkeypatch.setenv(f"PG{name}", value)
    assert door.discover("dbname=postgres", DEADLINE).error is None


def test_connection_string_that_is_none_is_not_repeated(door: PostgresDoorway) -> None:
    """A misspelt connection string may hold a password: the message does not quote it."""
    view = door.discover("hostlocalhost password s3cret", DEADLINE)
    assert (view.reachable, "s3cret" in str(view.error), "keyword=value" in str(view.error)) == (False, False, True)


def test_server_that_starts_up_says_so(door: PostgresDoorway, lab: Laboratory) -> None:
    """A standby that waits for WAL before it is consistent refuses, and its refusal is the answer."""
    lab.control("standby", "-m", "fast", "stop")
    auto = lab.directory / "standby" / "postgresql.auto.conf"
    before = auto.read_text()
    with auto.open("a") as config:
        config.write("hot_standby = off\n")
    lab.control("standby", "-W", "start")
    try:
        view = ask(door, replace(lab.by_socket, port=lab.standby_port))
    finally:
        auto.write_text(before)
        lab.control("standby", "-m", "fast", "restart")
    assert view.reachable is False
    assert any(
        words in str(view.error)
        for words in ("starting up", "not accepting connections", "not yet accepting", "No such file", "refused")
    )
