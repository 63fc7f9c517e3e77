"""Resolves references to secrets. A value goes to its caller and to the redactor, and into no message, log or cache
file.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import field
from pathlib import PurePosixPath

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import Secret
from pgwrap.errors import PgwrapError, Problem, SpecError
from pgwrap.records import dataclass
from pgwrap.system.files import open_without_waiting
from pgwrap.system.port import Runner
from pgwrap.system.redaction import Redactor

COMMAND_DEADLINE = 10.0
SIZE_LIMIT = 64 << 10
"""Bytes of the longest secret."""
_OURS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")
_ENGINES = ("PG", "BARMAN_")

_LOG = logging.getLogger("pgwrap.secrets")


def describe(secret: Secret) -> str:
    """The reference in words, such as `env S3_KEY`; of a command only its program, of a literal nothing."""
    if secret.kind == "literal" or not secret.value:
        return secret.kind
    return f"{secret.kind} {secret.value[0]}"


def masked(secret: Secret) -> str:
    """A stable placeholder for output in which nothing secret may show, such as `<secret: env S3_KEY>`."""
    return f"<secret: {describe(secret)}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretResolver:
    """Finds each secret once; see `pgwrap.system.port.SecretReader`."""

    runner: Runner
    redactor: Redactor
    environment: Mapping[str, str] = field(repr=False)
    _known: dict[Secret, str] = field(default_factory=dict, repr=False)

    def __call__(self, secret: Secret) -> str:
        """The value; SpecError naming the reference when it cannot be had, is empty, or has more than one line."""
        if secret not in self._known:
            value = _checked(secret, self._find(secret))
            self.redactor.register(value)
            self._known[secret] = value
        return self._known[secret]

    def _find(self, secret: Secret) -> str:
        match secret.kind:
            case "env":
                return self._from_environment(secret)
            case "file":
                return _from_file(secret, secret.value[0], check_access=True)
            case "credential":
                return self._from_credential(secret)
            case "command":
                return self._from_command(secret)
            case "literal":
                return secret.value[0]

    def _from_environment(self, secret: Secret) -> str:
        value = self.environment.get(secret.value[0])
        if value is None:
            raise _problem(secret, "the variable is not set", "export it where pgwrap runs, or use {file: PATH}")
        return value

    def _from_credential(self, secret: Secret) -> str:
        directory = self.environment.get("CREDENTIALS_DIRECTORY")
        if directory is None:
            hint = "run pgwrap from a systemd unit with LoadCredential=, or use {file: PATH}"
            raise _problem(secret, "$CREDENTIALS_DIRECTORY is not set", hint)
        name = secret.value[0]
        if name in ("", ".", "..") or "/" in name:
            raise _problem(secret, "a credential's name is a plain file name")
        return _from_file(secret, str(PurePosixPath(directory, name)), check_access=False)

    def _from_command(self, secret: Secret) -> str:
        # The program is the operator's own (vault, pass, aws): it needs their environment, not the engines' clean one.
        environment = tuple(
            (name, value)
            for name, value in self.environment.items()
            if name not in _OURS and not name.startswith(_ENGINES)
        )
        command = Command(
            argv=secret.value, deadline=COMMAND_DEADLINE, output_limit=SIZE_LIMIT, environment=environment
        )
        outcome = self.runner.run(command)
        if not outcome.succeeded:
            raise _problem(secret, self.redactor.mask(_failure(outcome)))
        return _text(secret, outcome.stdout)


def _failure(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return outcome.message
    last = outcome.error_text().strip().splitlines()[-1:]
    return ": ".join((f"the command ended with exit code {outcome.exit_code}", *(line[:200] for line in last)))


def _from_file(secret: Secret, path: str, *, check_access: bool) -> str:
    try:
        with open(path, "rb", opener=open_without_waiting) as source:
            _check_file(secret, os.fstat(source.fileno()).st_mode, check_access=check_access)
            return _text(secret, source.read(SIZE_LIMIT + 1))
    except OSError as error:
        hint = "run pgwrap as a user who may read it" if isinstance(error, PermissionError) else ""
        raise _problem(secret, f"it cannot be read: {error.strerror}", hint) from error
    except ValueError as error:
        raise _problem(secret, f"it is no path: {error}") from error


def _check_file(secret: Secret, mode: int, *, check_access: bool) -> None:
    if not stat.S_ISREG(mode):
        raise _problem(secret, "it is not a file")
    if check_access and mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _problem(secret, "others than its owner may write it", f"chmod 600 {secret.value[0]}")
    if check_access and mode & stat.S_IROTH:
        _LOG.warning("everybody on this machine may read the secret %s: chmod 600 it", describe(secret))


def _text(secret: Secret, content: bytes) -> str:
    if len(content) > SIZE_LIMIT:
        raise _problem(secret, f"it is longer than {SIZE_LIMIT >> 10} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Without the cause: its message holds the value.
        raise _problem(secret, "it is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _checked(secret: Secret, value: str) -> str:
    if not value:
        raise _problem(secret, "it is empty")
    if any(character in value for character in "\n\r\0"):
        raise _problem(secret, "it has more than one line; neither engine can take that")
    return value


def _problem(secret: Secret, message: str, hint: str = "") -> PgwrapError:
    return SpecError((Problem(message=f"the secret {describe(secret)} cannot be used: {message}", hint=hint),))
