"""Engines, hosts and servers at their worst: a finding with its cause, in time, and no harm to the other cluster.

One engine misbehaves; the other one is a stand-in that replays what the real one said, so that each case is quick.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.lab.answers import Json, cluster, codes, status
from integration.lab.estate import BILLING, ORDERS, Estate, search_path
from integration.lab.fakes import fake, recorder, replayer
from integration.lab.process import Ran, describe, start

NAMES = {"pgbackrest": ORDERS, "barman": BILLING}
OTHER = {"pgbackrest": "barman", "barman": "pgbackrest"}
DEADLINE = 2.0
SLACK = 8.0
"""Seconds that a busy machine may add: less than a second deadline, which a call would have cost that is not cut."""

DEAF = "trap '' TERM INT HUP\nwhile :; do sleep 4710.1; done\n"
FAMILY = "(trap '' TERM; sleep 4710.2) &\nsetsid sleep 4710.3 &\nwait\n"
HANGS = "exec sleep 4710.4\n"
KNOWN = 'case "$*" in version|--version) exec {replay} "$@" ;; esac\n'
"""Only the version is answered as ever."""

UNREAD: dict[str, tuple[str, set[str]]] = {
    "ignores SIGTERM": (DEAF, {"engine-timeout"}),
    "hangs with its family": (FAMILY, {"engine-timeout"}),
    "dies of a segmentation fault": ("kill -s SEGV $$\n", {"engine-failed"}),
    "never stops writing": (
        "exec yes '[{'\n",
        {"output-not-understood", "engine-timeout"},
    ),  # whichever limit strikes first
    "writes zero bytes": ("head -c 100000 /dev/zero\n", {"output-not-understood"}),
    "writes noise": ("head -c 100000 /dev/urandom\n", {"output-not-understood"}),
    "writes half of its JSON": ('{replay} "$@" | head -c 300\n', {"output-not-understood"}),
    "nests without end": ("head -c 100000 /dev/zero | tr '\\0' '['\n", {"output-not-understood"}),
    "writes null": (KNOWN + "echo null\n", {"output-not-understood"}),
    "writes other JSON": (KNOWN + "echo '[[1, 2], {{\"a\": null}}]'\n", {"output-not-understood"}),
    "names a missing interpreter": ("#!/no/such/interpreter\n", {"engine-missing"}),
}


@pytest.fixture(scope="module")
def replayed(pair: Estate) -> Estate:
    """A pair whose engines' answers are recorded."""
    for engine in NAMES:
        status(pair, "--no-commits", "--no-postgres", path=recorder(pair.room, engine, _real(pair, engine)))
        replayer(pair.room, engine)
    return pair


@pytest.fixture
def spec_with(replayed: Estate) -> Iterator[Callable[..., None]]:
    """Names the program of each engine in the spec, for one test; further words go to the first."""
    text = replayed.spec.read_text()

    def rewrite(engine: str, command: Path, more: str = "") -> None:
        programs = {engine: f"command: {command}{more}", OTHER[engine]: f"command: {_replay(replayed, OTHER[engine])}"}
        new = text
        for name, words in programs.items():
            new = new.replace(f"  {name}:\n    config", f"  {name}:\n    {words}\n    config", 1)
        replayed.spec.write_text(new)

    yield rewrite
    replayed.spec.write_text(text)


@pytest.fixture
def sick(replayed: Estate, spec_with: Callable[..., None]) -> Callable[[str, str], Json]:
    """Puts a script in an engine's place and gives the status that follows."""

    def look(engine: str, script: str) -> Json:
        spec_with(engine, _put(replayed, engine, script))
        return _look(replayed)

    return look


def _put(made: Estate, engine: str, script: str) -> Path:
    """A program called as the engine, with the replaying one's path put in."""
    text = script.replace("{replay}", str(_replay(made, engine))).replace("{{", "{").replace("}}", "}")
    if text.startswith("#!"):
        made.room.directory("fakes", "sick", mode=0o755)
        return made.room.write(f"fakes/sick/{engine}", text, mode=0o755)
    return fake(made.room, engine, text, "sick") / engine


def _look(made: Estate, *arguments: str) -> Json:
    started = time.monotonic()
    ran = made.pgwrap(
        *("status", "--output", "json", "--timeout", str(DEADLINE), "--no-commits", "--no-postgres", *arguments),
        check=False,
    )
    assert time.monotonic() - started < DEADLINE + SLACK
    assert ran.exit_code in {0, 1}, ran.stderr
    _nothing_embarrassing(ran)
    answer: Json = json.loads(ran.stdout)
    return answer


def _nothing_embarrassing(ran: Ran) -> None:
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "defect" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", UNREAD)
@pytest.mark.parametrize("engine", NAMES)
def test_engine_that_gives_no_answer(sick: Callable[[str, str], Json], engine: str, kind: str) -> None:
    """Its cluster is unknown, with the cause and what to type; the other cluster is whole; nothing runs on."""
    script, expected = UNREAD[kind]
    answer = sick(engine, script)
    unread, whole = cluster(answer, NAMES[engine]), cluster(answer, NAMES[OTHER[engine]])
    assert (answer["outcome"], unread["severity"]) == ("partial", "unknown"), unread
    (finding, *_) = [one for one in unread["findings"] if one["code"] in expected]
    assert finding["hint"]
    assert whole["backups"]
    assert "unknown" not in whole["severity"]
    assert {error["cluster"] for error in answer["errors"]} == {NAMES[engine]}
    assert _eventually(lambda: not _asleep()), [describe(pid) for pid in _asleep()]


@pytest.mark.parametrize("engine", NAMES)
def test_engine_that_may_not_be_run(replayed: Estate, spec_with: Callable[..., None], engine: str) -> None:
    """No permission, a directory, or a user who does not exist: unknown, and the place is named."""
    directory = replayed.room.directory("fakes", "closed", mode=0o755)
    closed = replayed.room.write(f"fakes/closed/{engine}", "#!/bin/sh\nexit 0\n", mode=0o644)
    for command in (closed, directory):
        spec_with(engine, command)
        entry = cluster(_look(replayed), NAMES[engine])
        assert entry["severity"] == "unknown"
        assert str(command) in json.dumps(entry["findings"])
    spec_with(engine, _replay(replayed, engine))
    replayed.spec.write_text(
        replayed.spec.read_text().replace(f"run_as: {replayed.room.machine.user}", "run_as: nosuch")
    )
    entry = cluster(_look(replayed), NAMES[engine])
    assert entry["severity"] == "unknown"
    assert "nosuch" in json.dumps(entry["findings"])


@pytest.mark.parametrize("engine", NAMES)
def test_talk_before_the_json_hides_nothing(sick: Callable[[str, str], Json], engine: str) -> None:
    """Stray lines on either stream, brackets among them, leave the backups readable."""
    script = "echo 'some [strange] {{line}} here'\necho 'perl: warning: no locale' >&2\nexec {replay} \"$@\"\n"
    assert cluster(sick(engine, script), NAMES[engine])["backups"]


@pytest.mark.parametrize("engine", NAMES)
def test_bytes_that_are_no_text(sick: Callable[[str, str], Json], engine: str) -> None:
    """Non-UTF-8 in names is survived; the cluster whose name is gone is not ok."""
    script = '{replay} "$@" | LC_ALL=C sed \'s/' + NAMES[engine] + "/\\xff\\xfe/g'\n"
    assert cluster(sick(engine, script), NAMES[engine])["severity"] in {"unknown", "critical"}


@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("key", ["_EXCEPTION", "_ERROR"])
def test_exception_inside_barmans_json(sick: Callable[[str, str], Json], key: str, exit_code: int) -> None:
    """Barman's own words reach the finding, the password in them does not."""
    said = json.dumps({key: ["connection failed: host=db password=hunter2QZ"]})
    answer = sick("barman", f"{KNOWN}printf '%s\\n' '{said}'\nexit {exit_code}\n")
    entry = cluster(answer, BILLING)
    assert entry["severity"] == "unknown"
    assert "connection failed: host=db" in json.dumps(entry["findings"])
    assert "hunter2QZ" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("engine", "script"),
    [
        ("pgbackrest", '{replay} "$@" | sed "s/^pgBackRest 2.*/pgBackRest 3.1.0dev/"\n'),
        ("barman", '{replay} "$@" | sed "s/\\"{version}\\"/\\"9.7.1\\"/g"\n'),
    ],
)
def test_newer_version_works_with_a_note(
    replayed: Estate, sick: Callable[[str, str], Json], engine: str, script: str
) -> None:
    """A version from the future is read, and said."""
    version = replayed.room.machine.engine(engine).version
    entry = cluster(sick(engine, script.replace("{version}", version)), NAMES[engine])
    assert entry["backups"]
    assert "engine-unknown-version" in codes(entry, least="ok")
    assert "engine-unknown-version" not in codes(entry)


@pytest.mark.parametrize("engine", NAMES)
def test_version_that_is_no_number(sick: Callable[[str, str], Json], engine: str) -> None:
    """Nonsense for a version ends neither the status nor the other cluster."""
    script = (
        '{replay} "$@" | sed "s/^pgBackRest [0-9.]*/pgBackRest two/; s/\\"[0-9]\\.[0-9]*\\.[0-9]*\\"/\\"four\\"/g"\n'
    )
    answer = sick(engine, script)
    assert cluster(answer, NAMES[OTHER[engine]])["backups"]


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("answers", [False, True], ids=["closed port", "silent port"])
def test_host_that_does_not_answer(
    replayed: Estate, spec_with: Callable[..., None], engine: str, answers: bool
) -> None:
    """Real ssh to a port of loopback: unknown with ssh's words, in time; the other cluster whole; a backup exits 5."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if answers:
            threading.Thread(target=_accept_for_ever, args=(listener,), daemon=True).start()
        else:
            listener.close()
        spec_with(engine, _replay(replayed, engine), "\n    host: lab")
        path = _ssh(replayed, port)
        started = time.monotonic()
        ran = replayed.pgwrap(
            *("status", "--output", "json", "--timeout", str(DEADLINE), "--no-commits", "--no-postgres"),
            check=False,
            path=path,
        )
        assert time.monotonic() - started < 2 * DEADLINE + SLACK
        answer: Json = json.loads(ran.stdout)
        unread = cluster(answer, NAMES[engine])
        assert (unread["severity"], codes(unread) & {"engine-failed", "engine-timeout"} != set()) == ("unknown", True)
        assert "lab" in json.dumps(unread["findings"])
        assert cluster(answer, NAMES[OTHER[engine]])["backups"]
        if not answers:
            ran = replayed.pgwrap("backup", NAMES[engine], check=False, path=path)
            assert (ran.exit_code, "Connection refused" in ran.stderr) == (5, True)


@pytest.mark.parametrize("engine", NAMES)
def test_hanging_engine_costs_one_deadline(sick: Callable[[str, str], Json], engine: str) -> None:
    """One hanging and one good engine: about one deadline, and the good one's cluster is whole."""
    answer = sick(engine, HANGS)
    assert "engine-timeout" in codes(cluster(answer, NAMES[engine]))
    assert cluster(answer, NAMES[OTHER[engine]])["backups"]


@pytest.mark.parametrize("group", [False, True], ids=["pgwrap alone", "its process group"])
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("script", [HANGS, DEAF], ids=["hangs", "ignores SIGTERM"])
def test_interrupted_while_engines_hang(
    replayed: Estate, spec_with: Callable[..., None], script: str, number: signal.Signals, exit_code: int, group: bool
) -> None:
    """Whatever the engine makes of signals, pgwrap ends in seconds with its code and leaves no process."""
    spec_with("barman", _put(replayed, "barman", script))
    environment = {"PGWRAP_CONFIG": str(replayed.spec), "PATH": search_path(replayed.room.machine)}
    arguments = ("pgwrap", "status", "--output", "json", "--no-commits", "--no-postgres")
    with start(arguments, environment=environment, directory=replayed.room.path) as process:
        assert _eventually(lambda: bool(_asleep()))
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        stdout, stderr = process.communicate(timeout=15)
    assert process.returncode == exit_code, stderr
    assert json.loads(stdout)["outcome"] == "error"
    assert _eventually(lambda: not _asleep()), [describe(pid) for pid in _asleep()]


def test_server_that_is_starting_up(replayed: Estate) -> None:
    """A server in recovery that refuses connections is postgres-unreachable in its own words."""
    server = replayed.servers[ORDERS]
    server.stop("immediate")
    hold = replayed.room.path / "hold"
    (server.data / "recovery.signal").touch()
    server.configure({"restore_command": f"while [ ! -e {hold} ]; do sleep 0.1; done; false"})
    control = (server.program("pg_ctl"), "--pgdata", str(server.data), "--log", str(server.log), "--no-wait", "start")
    replayed.room.run(*control)
    try:
        assert _eventually(lambda: "starting up" in _why_unreachable(replayed))
    finally:
        hold.touch()
        server.stop("immediate")
        (server.data / "recovery.signal").unlink(missing_ok=True)


def _why_unreachable(made: Estate) -> str:
    entry = cluster(status(made, "--no-commits"), ORDERS)
    assert entry["backups"]
    return " ".join(one["message"] for one in entry["findings"] if one["code"] == "postgres-unreachable")


def _real(made: Estate, engine: str) -> Path:
    return made.room.machine.engine(engine).program


def _replay(made: Estate, engine: str) -> Path:
    return made.room.path / f"fakes/replay-{engine}" / engine


def _ssh(made: Estate, port: int) -> Path:
    """A directory with an `ssh` that is the real one with a configuration of ours: it knows the host `lab`."""
    config = made.room.write("fakes/ssh/config", f"Host lab\n  HostName 127.0.0.1\n  Port {port}\n", mode=0o644)
    return fake(made.room, "ssh", f'exec /usr/bin/ssh -F {config} "$@"\n', "ssh")


def _asleep() -> list[int]:
    """The stand-ins' sleeping processes."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and describe(int(entry.name)).startswith("sleep 4710.")
    ]


def _eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def _accept_for_ever(listener: socket.socket) -> None:
    kept = []
    while True:
        try:
            kept.append(listener.accept())
        except OSError:
            for connection, _ in kept:
                connection.close()
            return
