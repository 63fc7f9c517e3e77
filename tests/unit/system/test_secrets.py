"""Resolving references to secrets."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pgwrap.domain.model import Secret
from pgwrap.errors import SpecError
from pgwrap.system.process import ProcessRunner
from pgwrap.system.redaction import MASK, Redactor
from pgwrap.system.secrets import SecretResolver, masked


def resolver(**environment: str) -> SecretResolver:
    """A resolver with an environment of its own."""
    return SecretResolver(runner=ProcessRunner(), redactor=Redactor(), environment=environment)


def secret_file(tmp_path: Path, content: bytes, mode: int = 0o600) -> Secret:
    """A reference to a file with this content."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return Secret(kind="file", value=(str(path),))


def refusal(resolve: SecretResolver, secret: Secret) -> str:
    """The message with which a reference is refused."""
    with pytest.raises(SpecError) as caught:
        resolve(secret)
    return caught.value.message


def test_each_kind_of_reference_is_resolved(tmp_path: Path) -> None:
    """Variable, file, credential, command and literal all give their value."""
    (tmp_path / "name").write_text("from credential\n")
    resolve = resolver(TOKEN="from variable", CREDENTIALS_DIRECTORY=str(tmp_path))
    references = (
        Secret(kind="env", value=("TOKEN",)),
        secret_file(tmp_path, b"from file\n"),
        Secret(kind="credential", value=("name",)),
        Secret(kind="command", value=("sh", "-c", "echo from command")),
        Secret(kind="literal", value=("from text",)),
    )
    expected = ["from variable", "from file", "from credential", "from command", "from text"]
    assert [resolve(reference) for reference in references] == expected


@pytest.mark.parametrize(
    ("content", "expected"), [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b" x \n", " x "), ("ü".encode(), "ü")]
)
def test_one_line_end_is_taken_off(tmp_path: Path, content: bytes, expected: str) -> None:
    """An editor's line end is not part of a secret; blanks are."""
    assert resolver()(secret_file(tmp_path, content)) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"a\n\n", b"a\rb", b"a\0b", b"\xff\xfe", b"x" * 70_000])
def test_value_that_no_engine_can_take_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing, several lines, not text, or a whole file: refused, without the value in the message."""
    message = refusal(resolver(), secret_file(tmp_path, content))
    assert f"file {tmp_path}/secret" in message
    assert "xxxx" not in message


def test_value_is_masked_from_then_on(tmp_path: Path) -> None:
    """Whoever logs a resolved value logs a mask."""
    resolve = resolver()
    value = resolve(secret_file(tmp_path, b"s3cret\n"))
    assert resolve.redactor.mask(f"run with {value}") == f"run with {MASK}"


def test_reference_is_resolved_once(tmp_path: Path) -> None:
    """A command that fetches a secret runs once however often the spec refers to it."""
    resolve = resolver()
    reference = Secret(kind="command", value=("sh", "-c", f"echo run >> {tmp_path}/runs; echo value"))
    assert {resolve(reference) for _ in range(3)} == {"value"}
    assert (tmp_path / "runs").read_text() == "run\n"


def test_missing_variable_is_named() -> None:
    """The message names the variable and says what to do."""
    assert "env TOKEN" in refusal(resolver(), Secret(kind="env", value=("TOKEN",)))


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The message names the file and the reason."""
    message = refusal(resolver(), Secret(kind="file", value=(f"{tmp_path}/nothing",)))
    assert "No such file" in message


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever may write the file could choose the secret."""
    message = refusal(resolver(), secret_file(tmp_path, b"s3cret", mode))
    assert "chmod 600" in message
    assert "s3cret" not in message


def test_file_that_everybody_may_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It works, and the log says what to change."""
    with caplog.at_level(logging.WARNING, logger="pgwrap.secrets"):
        assert resolver()(secret_file(tmp_path, b"s3cret", 0o644)) == "s3cret"
    assert "chmod 600" in caplog.text
    assert "s3cret" not in caplog.text


def test_directory_is_no_secret(tmp_path: Path) -> None:
    """A path that is not a file is refused."""
    assert "Is a directory" in refusal(resolver(), Secret(kind="file", value=(str(tmp_path),)))


def test_named_pipe_is_no_secret(tmp_path: Path) -> None:
    """A pipe is refused at once, not waited for."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a file" in refusal(resolver(), Secret(kind="file", value=(f"{tmp_path}/pipe",)))


@pytest.mark.parametrize("name", ["", ".", "..", "../secret", "a/b"])
def test_credential_cannot_leave_its_directory(tmp_path: Path, name: str) -> None:
    """A credential's name is a name, not a path."""
    resolve = resolver(CREDENTIALS_DIRECTORY=str(tmp_path / "credentials"))
    assert "plain file name" in refusal(resolve, Secret(kind="credential", value=(name,)))


def test_credential_outside_systemd_is_explained() -> None:
    """Without systemd's directory the message says where credentials come from."""
    assert "LoadCredential" in refusal(resolver(), Secret(kind="credential", value=("name",)))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("pgwrap-no-such-program",), "not found"),
        (("sh", "-c", "echo wrong key >&2; exit 3"), "exit code 3: wrong key"),
        (("true",), "empty"),
        (("yes",), "wrote more than"),
    ],
)
def test_command_that_fails_is_told_by_its_program(argv: tuple[str, ...], words: str) -> None:
    """The message names the program, not its arguments, and its reason."""
    message = refusal(resolver(), Secret(kind="command", value=argv))
    assert f"command {argv[0]} cannot" in message
    assert words in message


def test_command_has_the_operators_environment() -> None:
    """A secret store's own variables reach it; those meant for the engines do not."""
    resolve = resolver(VAULT_TOKEN="t", PGPASSWORD="leaked", BARMAN_X="leaked")
    script = "echo $VAULT_TOKEN $PGPASSWORD $BARMAN_X"
    assert resolve(Secret(kind="command", value=("sh", "-c", script))) == "t"


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (Secret(kind="env", value=("S3_KEY",)), "<secret: env S3_KEY>"),
        (Secret(kind="command", value=("vault", "read", "x")), "<secret: command vault>"),
        (Secret(kind="literal", value=("s3cret",)), "<secret: literal>"),
    ],
)
def test_placeholder_names_the_reference_alone(secret: Secret, expected: str) -> None:
    """What stands for a secret in dry output is stable and tells nothing."""
    assert masked(secret) == expected
