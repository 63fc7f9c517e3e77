"""No byte of a secret leaves the rendered files: not in arguments, answers, talk, logs or errors."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.cli.cli_desk import Desk

SECRETS = {
    "passphrase": "pass phrase'with %quotes\"-QZ7041",
    "key": "AKIAQZ7041KEY",
    "secret": "wJalr+QZ7041/SECRET",
    "password": "pg-pass word-QZ7041",
}
MARK = "QZ7041"
"""In every one of them, and nowhere else."""
REPOSITORIES = """\
repositories:
  offsite:
    type: s3
    bucket: acme
    endpoint: s3.example.net
    region: eu-west-1
    path: /pg
    credentials: {{key: {{env: S3_KEY}}, secret: {{file: {path}/secret}}}}
    encryption: {{cipher: aes-256-cbc, passphrase: {{file: {path}/passphrase}}}}
"""
CLUSTERS = """\
  orders:
    postgres:
      data_directory: {path}/data
      host: 127.0.0.1
      port: 1
      user: watcher
      password: {{command: [cat, {path}/password]}}
    repositories: [offsite]
    retention: {{full: 2}}
"""


@pytest.fixture
def safe(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose spec refers to secrets in every way."""
    for name, value in SECRETS.items():
        (desk.path / name).write_text(f"{value}\n")
        (desk.path / name).chmod(0o600)
    desk.write(CLUSTERS.format(path=desk.path))
    text = desk.spec.read_text()
    head, _, rest = text.partition("repositories: ")
    desk.spec.write_text(head + REPOSITORIES.format(path=desk.path) + rest.partition("\n")[2])
    monkeypatch.setitem(desk.environment, "S3_KEY", SECRETS["key"])
    return desk


def logged(desk: Desk) -> str:
    """Everything under the state directory: the log, caches."""
    files = [path for path in (desk.path / "state").rglob("*") if path.is_file()]
    return "".join(path.read_text() for path in files)


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "--offline"),
        ("validate", "--offline", "-o", "json"),
        ("render", "--offline"),
        ("render", "--offline", "-o", "json"),
        ("status", "--no-commits"),
        ("status", "--no-commits", "-o", "json"),
        ("status", "--no-commits", "-o", "prometheus"),
        ("backup", "orders"),
    ],
)
def test_no_command_says_a_secret(safe: Desk, arguments: tuple[str, ...]) -> None:
    """With all that can be said being said (-vv): answers, talk and the log."""
    ran = safe.run(*arguments, "-vv")
    assert "Traceback" not in ran.said
    assert MARK not in ran.said + logged(safe)


def test_rendered_files_hold_them_and_are_closed(safe: Desk) -> None:
    """`render --to`: the values are in the file of mode 0640, in its `.old` of mode 0640, and nowhere else."""
    made = safe.path / "made"
    for passphrase in ("first-QZ7041", "second-QZ7041"):
        (safe.path / "passphrase").write_text(passphrase)
        ran = safe.run("render", "--offline", "--to", str(made), "-vv", "-o", "json")
        assert ran.exit_code == 0, ran.stderr
        assert MARK not in ran.said + logged(safe)
    holding = {path for path in made.rglob("*") if path.is_file() and MARK in path.read_text()}
    configuration = made / str(safe.path / "etc/pgbackrest.conf").lstrip("/")
    assert holding == {configuration, configuration.with_name("pgbackrest.conf.old")}
    assert "second-QZ7041" in configuration.read_text()
    assert [stat.S_IMODE(path.stat().st_mode) for path in holding] == [0o640, 0o640]


@pytest.mark.parametrize("secret", ["passphrase", "secret"])
@pytest.mark.parametrize("content", [b"", b"two-QZ7041\nlines\n", b"QZ7041\xff\xfe", None])
def test_unusable_secret_is_named_and_not_shown(safe: Desk, secret: str, content: bytes | None) -> None:
    """Empty, of two lines, not UTF-8 or missing: exit 3, the reference, never the value; nothing is written."""
    file = safe.path / secret
    file.unlink() if content is None else file.write_bytes(content)
    ran = safe.run("render", "--offline", "--to", str(safe.path / "made"), "-vv")
    assert ran.exit_code == 3
    assert f"the secret file {file} cannot be used" in ran.stderr
    assert MARK not in ran.said + logged(safe)
    assert not (safe.path / "made").exists()


def test_no_process_has_a_secret_in_its_arguments(safe: Desk) -> None:
    """While the engine runs and PostgreSQL is asked, every command line of the machine is free of secrets."""
    scan = 'for p in /proc/[0-9]*; do tr "\\0" "\\n" <$p/cmdline; echo; done 2>/dev/null'
    environment = 'tr "\\0" "\\n" </proc/$$/environ'
    safe.engine(f"{{ {scan}; {environment}; env; }} >>{safe.path}/seen\nexit 1\n")
    assert safe.run("status", "--no-commits").exit_code == 1
    seen = (safe.path / "seen").read_text()
    assert str(safe.path / "pgbackrest") in seen
    assert MARK not in seen


def test_error_of_postgresql_does_not_show_the_password(safe: Desk) -> None:
    """The finding about a server that refuses is free of the connection's password."""
    ran = safe.run("status", "--no-commits", "-o", "json", "-vv")
    assert "postgres-unreachable" in ran.stdout
    assert MARK not in ran.said


def test_dsn_of_init_does_not_come_back(desk: Desk) -> None:
    """A password that was put into --from-postgres after all is not repeated in the error."""
    for dsn in (f"postgresql://u:{MARK}pw@127.0.0.1:1/db", f"host=127.0.0.1 port=1 password={MARK}pw", f"{MARK}pw x"):
        ran = desk.run("init", "--from-postgres", dsn, "-vv")
        assert ran.exit_code == 2
        assert f"{MARK}pw" not in ran.said


def test_completion_file_is_not_needed(safe: Desk) -> None:
    """Reading a spec for the names alone resolves nothing: a missing secret does not matter."""
    for name in ("passphrase", "secret", "password"):
        Path(safe.path / name).unlink()
    assert safe.run("validate", "--offline").exit_code == 0
