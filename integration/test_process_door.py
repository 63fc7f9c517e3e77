"""The process door against a real sshd on loopback and the real sudo. Nothing here leaves this machine."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.lab.sshd import can_serve, sshd
from pgwrap.domain.command import Command, Failure
from pgwrap.system.process import ProcessRunner

IS_ROOT = os.geteuid() == 0
UNPRIVILEGED = "nobody"
OTHER = "daemon"
ODD_ARGUMENTS = ("", "a b", "it's", '"quoted"', "$HOME", "`id`", "a;b|c>d&", "*", "\\", "new\nline", "-n", "ü", "!x")

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can drop privileges and write sudoers files")
needs_sudo = pytest.mark.skipif(shutil.which("sudo") is None, reason="sudo is not installed")


def processes_with(marker: str) -> list[int]:
    """The ids of processes that have `marker` among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker.encode() in arguments:
                found.append(int(entry.name))
    return found


def is_gone(marker: str, within: float) -> bool:
    """Whether every process with `marker` among its arguments is gone before `within` seconds have passed."""
    until = time.monotonic() + within
    while processes_with(marker):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def wait_for(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until `condition` holds; fail when it does not in time."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "it did not come to pass in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ssh_config() -> Iterator[Path]:
    """The client configuration that reaches an sshd of our own as host `lab`."""
    if not can_serve():
        pytest.skip("OpenSSH's client and server are not installed")
    with sshd() as config:
        yield config


@pytest.fixture
def remote(ssh_config: Path) -> ProcessRunner:
    """A runner whose ssh uses the laboratory's configuration."""
    return ProcessRunner(ssh_options=("-F", str(ssh_config)))


def test_remote_program_returns_output_and_exit_code(remote: ProcessRunner) -> None:
    """stdout, stderr and the exit code of a remote program arrive as those of a local one."""
    outcome = remote.run(Command(argv=("sh", "-c", "echo out; echo err >&2; exit 3"), host="lab"))
    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.failure) == (3, b"out\n", b"err\n", None)


def test_odd_arguments_reach_the_remote_program_unchanged(remote: ProcessRunner) -> None:
    """No shell on the way takes an argument apart."""
    outcome = remote.run(Command(argv=("printf", "%s\\0", *ODD_ARGUMENTS), host="lab"))
    assert tuple(outcome.text().split("\0")[:-1]) == ODD_ARGUMENTS


def test_remote_environment_is_passed_but_not_in_arguments(remote: ProcessRunner) -> None:
    """A secret in the environment reaches the program and shows in no process's arguments."""
    script = "printf '%s|' \"$TOKEN\" \"$LC_ALL\" \"$TZ\"; pwd; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    command = Command(argv=("sh", "-c", script), host="lab", environment=(("TOKEN", "s3cret $x"),))
    outcome = remote.run(command)
    assert outcome.text().startswith("s3cret $x|C.UTF-8|UTC|/\n")
    assert outcome.text().count("s3cret") == 1


def test_remote_program_reads_its_input(remote: ProcessRunner) -> None:
    """stdin goes to the remote program byte by byte, after the environment."""
    outcome = remote.run(
        Command(argv=("sh", "-c", 'cat; echo "$X"'), host="lab", stdin=b"\n\0body", environment=(("X", "y"),))
    )
    assert outcome.stdout == b"\n\0bodyy\n"


def test_remote_deadline_ends_the_remote_process(remote: ProcessRunner) -> None:
    """After the deadline nothing of the command is left on the remote host."""
    outcome = remote.run(Command(argv=("sh", "-c", "sleep 4711.25 & wait"), host="lab", deadline=1.5))
    assert Failure.TIMEOUT is outcome.failure
    assert is_gone("4711.25", within=10)


def test_stubborn_remote_process_is_killed(remote: ProcessRunner) -> None:
    """A remote program that ignores SIGTERM is killed, and the caller does not wait for that."""
    outcome = remote.run(
        Command(argv=("sh", "-c", "trap '' TERM; sleep 4712.25; sleep 4712.25"), host="lab", deadline=1.0)
    )
    assert Failure.TIMEOUT is outcome.failure
    assert is_gone("4712.25", within=15)


def test_stopping_ends_the_remote_process(remote: ProcessRunner) -> None:
    """When the caller stops in the middle, the remote program is stopped as well."""

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.run(Command(argv=("sh", "-c", "echo go; sleep 4713.25"), host="lab"), stop)
    assert is_gone("4713.25", within=10)


def test_remote_exit_255_is_the_programs_own(remote: ProcessRunner) -> None:
    """255 without a word from ssh is an exit code, not an unreachable host."""
    outcome = remote.run(Command(argv=("sh", "-c", "echo 'ssh-like noise' >&2; exit 255"), host="lab"))
    assert (outcome.exit_code, outcome.failure) == (255, None)


def test_remote_signal_is_negative(remote: ProcessRunner) -> None:
    """A remote program that a signal ended has the negative signal number as exit code."""
    assert remote.run(Command(argv=("sh", "-c", "kill -SEGV $$"), host="lab")).exit_code == -11


def test_missing_remote_program(remote: ProcessRunner) -> None:
    """A program that the remote host lacks is missing, and the message names program and host."""
    outcome = remote.run(Command(argv=("pgwrap-no-such-program",), host="lab"))
    assert Failure.MISSING is outcome.failure
    assert "pgwrap-no-such-program" in outcome.message
    assert outcome.message.endswith("on lab")


def test_remote_program_without_execute_permission(remote: ProcessRunner) -> None:
    """A remote file that is no program is denied."""
    assert Failure.DENIED is remote.run(Command(argv=("/etc/passwd",), host="lab")).failure


def test_refused_connection_is_unreachable(remote: ProcessRunner) -> None:
    """A host where no sshd listens is unreachable, with ssh's own words."""
    outcome = remote.run(Command(argv=("true",), host="nowhere"))
    assert Failure.UNREACHABLE is outcome.failure
    assert "Connection refused" in outcome.message


def test_refused_key_is_unreachable(remote: ProcessRunner) -> None:
    """A host that does not accept our key is unreachable, and nobody is asked for a password."""
    outcome = remote.run(Command(argv=("true",), host="stranger"))
    assert Failure.UNREACHABLE is outcome.failure
    assert "Permission denied" in outcome.message


def test_silent_host_is_unreachable_within_the_deadline(ssh_config: Path) -> None:
    """A host that accepts the connection and says nothing does not hold us beyond the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = ("-F", str(ssh_config), "-p", str(server.getsockname()[1]))
        outcome = ProcessRunner(ssh_options=options).run(Command(argv=("true",), host="127.0.0.1", deadline=2.0))
    assert outcome.failure in (Failure.UNREACHABLE, Failure.TIMEOUT)
    assert outcome.seconds < 5


def test_host_may_be_an_ssh_url(remote: ProcessRunner, ssh_config: Path) -> None:
    """`ssh://user@host:port` and `user@host` name a host too."""
    port = next(line.split()[1] for line in ssh_config.read_text().splitlines() if line.startswith(" Port"))
    for host in (f"ssh://{getpass.getuser()}@127.0.0.1:{port}", f"{getpass.getuser()}@lab"):
        assert remote.run(Command(argv=("echo", "x"), host=host)).stdout == b"x\n"


def test_host_that_looks_like_an_option_is_only_a_host(remote: ProcessRunner) -> None:
    """A host name cannot smuggle an option into ssh."""
    outcome = remote.run(Command(argv=("true",), host="-oProxyCommand=touch /tmp/pgwrap-owned"))
    assert not outcome.succeeded
    assert not Path("/tmp/pgwrap-owned").exists()


@needs_root
def test_remote_root_becomes_another_user(remote: ProcessRunner) -> None:
    """On a host where we are root, `run_as` drops privileges, with that user's home."""
    outcome = remote.run(Command(argv=("sh", "-c", "id -un; echo $HOME"), host="lab", run_as=OTHER))
    assert [OTHER, pwd.getpwnam(OTHER).pw_dir] == outcome.text().split()


@needs_root
def test_unknown_remote_user_is_missing(remote: ProcessRunner) -> None:
    """A user that the remote host does not know is missing."""
    outcome = remote.run(Command(argv=("true",), host="lab", run_as="pgwrap-nobody"))
    assert (outcome.failure, "pgwrap-nobody" in outcome.message) == (Failure.MISSING, True)


@pytest.fixture(params=["Defaults:nobody use_pty", "Defaults:nobody !use_pty"])
def sudo_allowed(request: pytest.FixtureRequest) -> Iterator[None]:
    """A temporary sudoers file that lets UNPRIVILEGED run any program as OTHER, with and without its pty."""
    if not Path("/etc/sudoers.d").is_dir():
        pytest.skip("there is no /etc/sudoers.d")
    rules = Path(f"/etc/sudoers.d/pgwrap-test-{os.getpid()}")
    rules.write_text(f"{request.param}\n{UNPRIVILEGED} ALL=({OTHER}) NOPASSWD: ALL\n")
    rules.chmod(0o440)
    try:
        yield
    finally:
        rules.unlink()


def as_unprivileged(command: Command, *, interrupt: bool = False) -> dict[str, object]:
    """What a runner in a process of UNPRIVILEGED makes of `command`."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.setgroups([])
            os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
            os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
            os.environ["PGHOST"] = "leaked"
            os.write(write_end, json.dumps(_tell(command, interrupt=interrupt)).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    told: dict[str, object] = json.loads(text)
    return told


def _tell(command: Command, *, interrupt: bool) -> dict[str, object]:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    try:
        outcome = ProcessRunner().run(command, stop if interrupt else None)
    except KeyboardInterrupt:
        return {"interrupted": True}
    return {
        "exit": outcome.exit_code,
        "failure": outcome.failure and outcome.failure.value,
        "text": outcome.text(),
        "message": outcome.message,
        "error": outcome.error_text(),
        "seconds": outcome.seconds,
    }


@needs_root
@needs_sudo
@pytest.mark.usefixtures("sudo_allowed")
def test_sudo_runs_as_the_other_user_with_a_clean_environment() -> None:
    """Through sudo the program runs as the other user, with its home, our locale, and the secret it was given."""
    script = 'id -un; echo "$HOME $LC_ALL $TZ $TOKEN [$PGHOST]"; pwd; printf "%s" "$1"'
    argv = ("sh", "-c", script, "sh", "it's $odd")
    told = as_unprivileged(Command(argv=argv, run_as=OTHER, environment=(("TOKEN", "s3cret"),)))
    home = pwd.getpwnam(OTHER).pw_dir
    assert f"{OTHER}\n{home} C.UTF-8 UTC s3cret []\n/\nit's $odd" == told["text"], told


@needs_root
@needs_sudo
@pytest.mark.usefixtures("sudo_allowed")
def test_sudo_passes_exit_code_signal_and_input() -> None:
    """Exit codes, signals and stdin pass through sudo."""
    assert as_unprivileged(Command(argv=("sh", "-c", "exit 7"), run_as=OTHER))["exit"] == 7
    assert as_unprivileged(Command(argv=("sh", "-c", "kill -SEGV $$"), run_as=OTHER))["exit"] == -11
    assert as_unprivileged(Command(argv=("cat",), run_as=OTHER, stdin=b"body"))["text"] == "body"


@needs_root
@needs_sudo
@pytest.mark.usefixtures("sudo_allowed")
def test_deadline_holds_under_sudo() -> None:
    """A program of another user is gone after the deadline, though its caller may not signal it."""
    told = as_unprivileged(Command(argv=("sh", "-c", "sleep 4714.25 & wait"), run_as=OTHER, deadline=1.0))
    assert told["failure"] == "timeout", told
    assert is_gone("4714.25", within=10)


@needs_root
@needs_sudo
@pytest.mark.usefixtures("sudo_allowed")
def test_interrupt_ends_the_program_under_sudo() -> None:
    """Ctrl-C leaves no program of another user behind."""
    told = as_unprivileged(Command(argv=("sh", "-c", "echo go; sleep 4715.25"), run_as=OTHER), interrupt=True)
    assert told == {"interrupted": True}
    assert is_gone("4715.25", within=10)


@needs_root
@needs_sudo
@pytest.mark.usefixtures("sudo_allowed")
def test_missing_program_under_sudo() -> None:
    """A program that does not exist is missing, not a failure of sudo."""
    assert as_unprivileged(Command(argv=("pgwrap-no-such-program",), run_as=OTHER))["failure"] == "missing"


@needs_root
@needs_sudo
def test_sudo_that_refuses_is_denied_with_a_way_out() -> None:
    """Without a rule sudo asks for a password; we report that it is denied, and say what to allow."""
    told = as_unprivileged(Command(argv=("true",), run_as=OTHER))
    assert told["failure"] == "denied", told
    assert "NOPASSWD" in str(told["message"])


@needs_root
def test_unprivileged_caller_without_sudo_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where sudo is not installed the message says who could run the command."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pgwrap.system.launch.SYSTEM_PATHS", ())
    told = as_unprivileged(Command(argv=("true",), run_as=OTHER))
    assert (told["failure"], "sudo is not installed" in str(told["message"])) == ("missing", True)
