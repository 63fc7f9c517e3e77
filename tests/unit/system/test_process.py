"""The process door with real processes: small programs of the system and shell scripts written for the occasion."""

from __future__ import annotations

import logging
import os
import pwd
import select
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgwrap.domain.command import Command, Failure, Outcome
from pgwrap.system.process import STDERR_KEPT, ProcessRunner

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and run nearly everything")


@pytest.fixture
def runner() -> ProcessRunner:
    """A runner as the cli makes it."""
    return ProcessRunner()


def shell(runner: ProcessRunner, script: str, **fields: object) -> Outcome:
    """What becomes of a shell script."""
    return runner.run(Command(argv=("sh", "-c", script), **fields))  # type: ignore[arg-type]


def is_alive(process: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def has_been_killed(process: int) -> bool:
    """Whether a process is gone, or about to go: the kernel takes its time over a SIGKILL on a busy machine."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10.0)[0])
    finally:
        os.close(descriptor)


def test_outcome_holds_both_streams_and_the_exit_code(runner: ProcessRunner) -> None:
    """stdout, stderr and the exit code are kept apart."""
    outcome = shell(runner, "echo out; echo err >&2; exit 3")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.failure) == (3, b"out\n", b"err\n", None)


def test_arguments_are_passed_unchanged(runner: ProcessRunner) -> None:
    """No shell sees the arguments."""
    arguments = ("", "a b", "$HOME", "`id`", "*", "it's", "new\nline", "ü")
    outcome = runner.run(Command(argv=("printf", "%s\\0", *arguments)))
    assert tuple(outcome.text().split("\0")[:-1]) == arguments


def test_death_by_a_signal_is_a_negative_exit_code(runner: ProcessRunner) -> None:
    """A program that a signal ended is no failure to run it, but has no exit code of its own either."""
    assert shell(runner, "kill -KILL $$").exit_code == -signal.SIGKILL


def test_stdin_is_given_in_full_while_output_is_read(runner: ProcessRunner) -> None:
    """More input than a pipe holds does not block against output."""
    text = bytes(range(256)) * 4096
    assert runner.run(Command(argv=("cat",), stdin=text)).stdout == text


def test_unread_stdin_is_no_failure(runner: ProcessRunner) -> None:
    """A program may end without reading its input."""
    assert runner.run(Command(argv=("true",), stdin=b"x" * (1 << 20))).succeeded


def test_without_input_stdin_is_empty(runner: ProcessRunner) -> None:
    """A program that reads sees the end at once, and never the operator's terminal."""
    assert runner.run(Command(argv=("cat",))).stdout == b""


def test_deadline_ends_the_whole_group(runner: ProcessRunner, tmp_path: Path) -> None:
    """At the deadline a program's children end with it, even those that ignore SIGTERM."""
    pid_file = tmp_path / "pid"
    outcome = shell(runner, f"trap '' TERM; sleep 60 & echo $! > {pid_file}; echo begun; wait; sleep 60", deadline=0.3)
    assert (outcome.failure, outcome.exit_code, outcome.stdout) == (Failure.TIMEOUT, None, b"begun\n")
    assert has_been_killed(int(pid_file.read_text()))


def test_deadline_ends_a_child_with_a_session_of_its_own(runner: ProcessRunner, tmp_path: Path) -> None:
    """A child that left the process group is still a child, and ends as well."""
    script = f"(trap '' TERM; setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'; sleep 60) & wait"
    outcome = shell(runner, script, deadline=0.5)
    assert outcome.failure is Failure.TIMEOUT
    assert has_been_killed(int((tmp_path / "pid").read_text()))


def test_program_may_tidy_up_at_the_deadline(runner: ProcessRunner) -> None:
    """SIGTERM comes first, and what the program says then is kept."""
    outcome = shell(runner, "trap 'echo tidy >&2; exit 1' TERM; sleep 60 & wait", deadline=0.3)
    assert (outcome.failure, outcome.stderr) == (Failure.TIMEOUT, b"tidy\n")


def test_descendant_that_keeps_the_pipe_delays_nothing(runner: ProcessRunner) -> None:
    """A daemon started by the program holds stdout open; the program's end is what counts."""
    outcome = shell(runner, "sleep 60 & echo $!", deadline=30.0)
    daemon = int(outcome.stdout)
    assert (outcome.exit_code, is_alive(daemon)) == (0, True)
    os.kill(daemon, signal.SIGKILL)


def test_too_much_output_is_an_error(runner: ProcessRunner) -> None:
    """Output beyond the limit ends the program, and is never taken for complete."""
    outcome = runner.run(Command(argv=("yes",), output_limit=100_000))
    assert (outcome.failure, outcome.exit_code, outcome.stdout) == (Failure.TOO_MUCH_OUTPUT, None, b"")


def test_output_of_exactly_the_limit_is_fine(runner: ProcessRunner) -> None:
    """The limit itself is still allowed."""
    assert runner.run(Command(argv=("printf", "12345"), output_limit=5)).stdout == b"12345"


def test_too_much_output_is_noticed_after_the_end(runner: ProcessRunner) -> None:
    """A program that ends before its output was read is measured as well."""
    assert runner.run(Command(argv=("printf", "123456"), output_limit=5)).failure is Failure.TOO_MUCH_OUTPUT


def test_the_end_of_stderr_is_kept(runner: ProcessRunner) -> None:
    """Of a long stderr the last part is kept: there the reason stands."""
    outcome = shell(runner, "head -c 500000 /dev/zero >&2; echo reason >&2")
    assert (len(outcome.stderr), outcome.stderr[-7:]) == (STDERR_KEPT, b"reason\n")


def test_missing_program(runner: ProcessRunner) -> None:
    """A program that is not on PATH is missing, and named."""
    outcome = runner.run(Command(argv=("pgwrap-no-such-program",)))
    assert outcome.failure is Failure.MISSING
    assert outcome.message == "the program 'pgwrap-no-such-program' was not found on PATH"


def test_missing_program_by_path(runner: ProcessRunner, tmp_path: Path) -> None:
    """A program named by its path is missing when nothing is there."""
    assert runner.run(Command(argv=(f"{tmp_path}/x",))).message == f"there is no program {tmp_path}/x"


def test_missing_interpreter_is_told(runner: ProcessRunner, tmp_path: Path) -> None:
    """A script whose interpreter is gone exists: the message says what is missing."""
    script = tmp_path / "engine"
    script.write_text("#!/no/such/python\n")
    script.chmod(0o755)
    outcome = runner.run(Command(argv=(str(script),)))
    assert (outcome.failure, "interpreter" in outcome.message) == (Failure.MISSING, True)


@pytest.mark.parametrize("text", ["no program", "#!/bin/sh\n"])
def test_file_that_is_no_program_is_denied(runner: ProcessRunner, tmp_path: Path, text: str) -> None:
    """A file that may not be executed is denied, for root too."""
    file = tmp_path / "engine"
    file.write_text(text)
    assert runner.run(Command(argv=(str(file),))).failure is Failure.DENIED


def test_script_without_interpreter_is_denied(runner: ProcessRunner, tmp_path: Path) -> None:
    """An executable file in no known format is denied, with the system's words."""
    file = tmp_path / "engine"
    file.write_bytes(b"\0\1\2\3")
    file.chmod(0o755)
    assert "Exec format error" in runner.run(Command(argv=(str(file),))).message


@pytest.mark.parametrize("argv", [(), ("echo", "a\0b")])
def test_impossible_command_is_a_failure_not_a_crash(runner: ProcessRunner, argv: tuple[str, ...]) -> None:
    """An empty command, or a NUL in an argument, is reported like any other failure."""
    assert runner.run(Command(argv=argv)).failure is not None


def test_unknown_user_is_missing(runner: ProcessRunner) -> None:
    """A user that the machine does not know is missing, and named."""
    outcome = runner.run(Command(argv=("true",), run_as="pgwrap-nobody"))
    assert (outcome.failure, "pgwrap-nobody" in outcome.message) == (Failure.MISSING, True)


def test_environment_is_clean(runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines see our locale and time zone, and nothing that the caller exported for them."""
    for name in ("PGHOST", "PGPASSWORD", "PGBACKREST_STANZA", "BARMAN_X", "LANGUAGE", "SECRET"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    variables = dict(line.split("=", 1) for line in runner.run(Command(argv=("env",))).text().splitlines())
    assert (variables["LC_ALL"], variables["LANG"], variables["TZ"]) == ("C.UTF-8", "C.UTF-8", "UTC")
    assert "leaked" not in variables.values()
    assert {"PATH", "HOME", "USER", "LOGNAME"} <= variables.keys()


def test_environment_of_the_command_is_added(runner: ProcessRunner) -> None:
    """What the command brings wins over what we set."""
    outcome = shell(runner, 'echo "$TOKEN $TZ"', environment=(("TOKEN", "x"), ("TZ", "CET")))
    assert outcome.stdout == b"x CET\n"


def test_administrator_directories_are_searched(runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs in sbin are found even when the caller's PATH is a user's."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert b":/usr/sbin" in shell(runner, "echo $PATH").stdout


def test_program_runs_in_the_root_directory(runner: ProcessRunner) -> None:
    """The caller's directory may be closed to the user that a command runs as."""
    assert runner.run(Command(argv=("pwd",))).stdout == b"/\n"


def test_no_descriptor_is_inherited(runner: ProcessRunner, tmp_path: Path) -> None:
    """A child has its three streams and nothing else of ours."""
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        listed = runner.run(Command(argv=("ls", "-l", "/proc/self/fd"))).text()
    assert "lock" not in listed


def test_running_as_oneself_needs_no_privileges(runner: ProcessRunner) -> None:
    """Naming the current user changes nothing."""
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert runner.run(Command(argv=("id", "-un"), run_as=name)).text() == f"{name}\n"


@needs_root
def test_root_drops_privileges_for_good(runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root the program runs with the user's ids, groups and home, and cannot get back."""
    monkeypatch.setenv("TMPDIR", "/root/private")
    user = pwd.getpwnam("nobody")
    groups = " ".join(str(group) for group in os.getgrouplist(user.pw_name, user.pw_gid))
    script = 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME ${TMPDIR-unset}"; grep ^Uid: /proc/self/status'
    lines = shell(runner, script, run_as="nobody").text().splitlines()
    assert lines[:3] == [str(user.pw_uid), str(user.pw_gid), groups]
    assert lines[3:] == [f"{user.pw_dir} nobody nobody unset", "Uid:" + f"\t{user.pw_uid}" * 4]


@needs_root
def test_deadline_holds_for_another_user(runner: ProcessRunner) -> None:
    """Root stops a program of another user at its deadline."""
    outcome = runner.run(Command(argv=("sleep", "60"), run_as="nobody", deadline=0.2))
    assert outcome.failure is Failure.TIMEOUT


@needs_root
def test_program_that_the_user_may_not_run_is_denied(runner: ProcessRunner, tmp_path: Path) -> None:
    """What root could run, but the user may not, is denied, and the message names the user."""
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\n")
    program.chmod(stat.S_IRWXU)
    outcome = runner.run(Command(argv=(str(program),), run_as="nobody"))
    assert (outcome.failure, "as nobody" in outcome.message) == (Failure.DENIED, True)


@needs_root
def test_missing_program_is_missing_for_another_user_too(
    runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A directory on PATH that the user may not search does not make a missing program a forbidden one."""
    tmp_path.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    outcome = runner.run(Command(argv=("pgwrap-no-such-program",), run_as="nobody"))
    assert outcome.failure is Failure.MISSING


def test_lines_come_while_the_program_runs(runner: ProcessRunner, tmp_path: Path) -> None:
    """A line is passed on before the program ends: here the program waits for us to have seen it."""
    seen: list[str] = []
    answer = tmp_path / "answer"

    def see(line: str) -> None:
        seen.append(line)
        answer.touch()

    script = f"printf 'begin\\r\\npart'; while [ ! -e {answer} ]; do sleep 0.01; done; printf 'ly\\n\\377 end'"
    outcome = runner.run(Command(argv=("sh", "-c", script), deadline=20.0), see)
    assert (seen, outcome.exit_code) == (["begin", "partly", "\ufffd end"], 0)


def test_interrupt_stops_the_program_first(runner: ProcessRunner) -> None:
    """Ctrl-C in the middle of a command leaves no process behind."""
    seen: list[str] = []

    def interrupt(line: str) -> None:
        seen.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(Command(argv=("sh", "-c", "echo $$; sleep 60 & wait")), interrupt)
    assert has_been_killed(int(seen[0]))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the whole run was started with SIGINT ignored (in a background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_stops_all_that_run_side_by_side(tmp_path: Path) -> None:
    """Ctrl-C ends what runs, and what waits for its turn is never started."""
    runner = ProcessRunner(parallel=2)
    script = f"echo $$ > {tmp_path}/$1; [ $1 = 1 ] && kill -INT $2; exec sleep 60"
    commands = tuple(
        Command(argv=("sh", "-c", script, "sh", str(number), str(os.getpid())), deadline=50.0) for number in range(4)
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run_all(commands)
    started = [int(file.read_text() or 0) for file in tmp_path.iterdir()]
    assert all(has_been_killed(process) for process in started if process)
    assert not (tmp_path / "3").exists()


def test_stop_all_ends_commands_of_other_threads(runner: ProcessRunner, tmp_path: Path) -> None:
    """`stop_all` ends what another thread waits for, and that thread gets its outcome."""
    outcomes: list[Outcome] = []
    running = threading.Event()
    command = Command(argv=("sh", "-c", "echo go; exec sleep 60"), deadline=50.0)
    thread = threading.Thread(target=lambda: outcomes.append(runner.run(command, lambda _: running.set())))
    thread.start()
    assert running.wait(20)
    runner.stop_all()
    thread.join()
    assert (outcomes[0].exit_code, outcomes[0].succeeded) == (-signal.SIGTERM, False)


def test_outcomes_come_in_the_order_of_the_commands(runner: ProcessRunner) -> None:
    """However long each takes, an outcome stands where its command stood."""
    commands = tuple(Command(argv=("sh", "-c", f"sleep 0.0{9 - number}; echo {number}")) for number in range(10))
    assert [outcome.text() for outcome in runner.run_all(commands)] == [f"{number}\n" for number in range(10)]


def test_side_by_side_is_bounded(tmp_path: Path) -> None:
    """No more commands run at a time than was allowed."""
    script = f"mkdir {tmp_path}/busy || exit 1; sleep 0.01; rmdir {tmp_path}/busy"
    outcomes = ProcessRunner(parallel=1).run_all((Command(argv=("sh", "-c", script)),) * 5)
    assert [outcome.exit_code for outcome in outcomes] == [0] * 5


def test_no_commands_have_no_outcomes(runner: ProcessRunner) -> None:
    """Nothing to run is no special case for the caller."""
    assert runner.run_all(()) == ()


def test_command_is_logged_before_it_runs_without_its_secrets(
    runner: ProcessRunner, caplog: pytest.LogCaptureFixture
) -> None:
    """The log holds what to type to do the same by hand, and how it ended; no environment, no input."""
    with caplog.at_level(logging.INFO, logger="pgwrap.commands"):
        runner.run(Command(argv=("echo", "a b"), environment=(("TOKEN", "s3cret"),), stdin=b"s3cret"))
    assert caplog.messages[0] == "run: echo 'a b'"
    assert caplog.messages[1].startswith("exit 0 after ")
    assert "s3cret" not in caplog.text


def test_ssh_that_is_not_installed_is_missing(
    runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command for another host on a machine without ssh says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pgwrap.system.launch.SYSTEM_PATHS", ())
    outcome = runner.run(Command(argv=("true",), host="elsewhere"))
    assert (outcome.failure, outcome.message) == (Failure.MISSING, "the program 'ssh' was not found on PATH")


def test_nothing_starts_after_stop_all(runner: ProcessRunner, tmp_path: Path) -> None:
    """A thread that goes on to its next command after Ctrl-C is refused it, and is not kept waiting."""
    runner.stop_all()
    outcomes = runner.run_all((Command(argv=("touch", f"{tmp_path}/started")),) * 2)
    assert [outcome.failure for outcome in outcomes] == [Failure.SKIPPED] * 2
    assert not (tmp_path / "started").exists()


def test_command_started_ahead_gets_its_input_later(runner: ProcessRunner) -> None:
    """It waits for the questions; its deadline counts from them, and so does what it took."""
    waiting = runner.start(Command(argv=("sh", "-c", "echo ready; cat")))
    assert waiting is not None
    outcome = waiting.finish(Command(argv=("cat",), stdin=b"question\n", deadline=20.0))
    assert (outcome.exit_code, outcome.stdout, outcome.failure) == (0, b"ready\nquestion\n", None)
    waiting.drop()


def test_command_started_ahead_is_still_stopped_at_its_deadline(runner: ProcessRunner) -> None:
    """One that does not end once it has its input is stopped as any other."""
    waiting = runner.start(Command(argv=("sleep", "60")))
    assert waiting is not None
    assert waiting.finish(Command(argv=("sleep", "60"), stdin=b"", deadline=0.1)).failure is Failure.TIMEOUT


@pytest.mark.parametrize("end", ["drop", "stop_all"])
def test_command_started_ahead_is_never_left(runner: ProcessRunner, tmp_path: Path, end: str) -> None:
    """Nobody asks it anything, or pgwrap is stopped: it is gone, and what it started too."""
    os.mkfifo(tmp_path / "ready")
    waiting = runner.start(Command(argv=("sh", "-c", f"sleep 60 & echo $! $$ >{tmp_path}/ready; read -r line")))
    assert waiting is not None
    processes = (tmp_path / "ready").read_text().split()
    if end == "stop_all":
        runner.stop_all()
    waiting.drop()
    assert all(has_been_killed(int(process)) for process in processes)
    waiting.drop()


def test_command_that_cannot_start_is_not_started_ahead(runner: ProcessRunner) -> None:
    """What is missing is told when it is run in earnest."""
    assert runner.start(Command(argv=("/nonexistent/program",))) is None
