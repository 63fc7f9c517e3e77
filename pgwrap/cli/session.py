"""The composition root: puts the world together, and is the one place where an error becomes an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from pgwrap.errors import EXIT_BUG, Interrupted, PgwrapError

if TYPE_CHECKING:
    from pgwrap.domain.model import Cluster, Fleet
    from pgwrap.ops.world import World
    from pgwrap.system.process import ProcessRunner
    from pgwrap.system.redaction import Redactor

EXIT_TERMINATED = 143
_LOG = logging.getLogger("pgwrap")


@dataclass(kw_only=True)
class Session:
    """One run of one command: what was asked for, and the world it acts on, made when first needed."""

    command: str
    output: str = "text"
    verbose: int = 0
    quiet: bool = False
    log_file: str | None = None
    spec_file: str | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    runner: ProcessRunner | None = None

    def say(self, text: str) -> None:
        """Talk to the person: standard error, unless quiet."""
        if not self.quiet:
            typer.echo(text, err=True)

    def answer(self, text: str) -> None:
        """The command's result: standard output."""
        typer.echo(text, nl=not text.endswith("\n"))

    def fleet(self, *, warn: bool = True) -> Fleet:
        """The spec, with its warnings said unless the command reports them itself."""
        from pgwrap.spec.loader import load

        fleet = load(self.spec_file, environment=os.environ, is_root=os.geteuid() == 0)
        for warning in fleet.warnings if warn else ():
            self.say(str(warning))
        self.open_log(fleet.state)
        return fleet

    def open_log(self, state: str) -> None:
        """Log to the file that was named, or the state directory's; one that cannot be kept is said, not fatal."""
        from pgwrap.system.logfile import open_log

        path = self.log_file or os.path.join(state, "log", "pgwrap.log")  # noqa: PTH118 - a string in, a string out
        note = open_log(path, self.redactor())
        if note and (self.log_file or self.verbose):
            self.say(note)

    def redactor(self) -> Redactor:
        """The one place where secrets are known, so that they can be masked."""
        from pgwrap.system.redaction import REDACTOR

        return REDACTOR

    def world(self) -> World:
        """The real world: processes, files, PostgreSQL, secrets and both engines."""
        from pgwrap.engines import ENGINES
        from pgwrap.ops.world import World
        from pgwrap.system.database import PostgresDoorway
        from pgwrap.system.files import LocalFiles
        from pgwrap.system.process import ProcessRunner
        from pgwrap.system.programs import InstalledPrograms
        from pgwrap.system.secrets import SecretResolver, masked

        self.runner = ProcessRunner()
        return World(
            runner=self.runner,
            files=LocalFiles(),
            postgres=PostgresDoorway(runner=self.runner),
            programs=InstalledPrograms(),
            secret=SecretResolver(runner=self.runner, redactor=self.redactor(), environment=os.environ),
            masked=masked,
            engines=ENGINES,
        )

    def stop(self) -> None:
        """Stop every child that is still running."""
        if self.runner is not None:
            self.runner.stop_all()


@contextmanager
def session(
    command: str,
    *,
    output: str = "text",
    verbose: int = 0,
    quiet: bool = False,
    log_file: str | None = None,
    spec_file: str | None = None,
) -> Iterator[Session]:
    """Run a command's body; every way it can fail becomes a message, in the asked format, and an exit code."""
    run = Session(command=command, output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=spec_file)
    _listen(verbose)
    _catch_signals(run)
    try:
        yield run
    except PgwrapError as error:
        _fail(run, error)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(EXIT_TERMINATED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: a runbook gets a sentence, the log the rest
        _apologise(run, error)


def _listen(verbose: int) -> None:
    """Show the log on standard error as far as it was asked for."""
    logging.getLogger("pgwrap").setLevel(logging.DEBUG)
    logging.getLogger("pgwrap").propagate = False
    if verbose:
        from pgwrap.system.redaction import REDACTOR

        handler = logging.StreamHandler()
        handler.setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.addFilter(REDACTOR)
        logging.getLogger("pgwrap").addHandler(handler)
    else:
        logging.getLogger("pgwrap").addHandler(logging.NullHandler())


class Terminated(Interrupted):
    """SIGTERM or SIGHUP came."""

    exit_code = EXIT_TERMINATED
    slug = "terminated"


def _catch_signals(run: Session) -> None:
    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        run.stop()
        if number == signal.SIGINT:
            raise Interrupted("interrupted; the engine processes that pgwrap had started were stopped")
        raise Terminated("terminated; the engine processes that pgwrap had started were stopped")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _fail(run: Session, error: PgwrapError) -> NoReturn:
    """Print what went wrong and leave with its exit code."""
    run.stop()
    mask = run.redactor().mask
    _LOG.error("%s: %s", error.slug, mask(error.message))
    if run.output == "json":
        from pgwrap.present.envelope import error_envelope

        run.answer(json.dumps(error_envelope(run.command, error, run.now), indent=2, ensure_ascii=False))
    elif run.output == "nagios":
        from pgwrap.present.nagios import nagios_failure

        run.answer(mask(nagios_failure(error)))
    else:
        typer.echo(f"pgwrap: {mask(error.message)}", err=True)
        if error.hint:
            typer.echo(f"hint: {mask(error.hint)}", err=True)
    raise typer.Exit(3 if run.output == "nagios" else error.exit_code)


def _apologise(run: Session, error: Exception) -> NoReturn:
    """A defect of ours: one sentence and where the details are."""
    run.stop()
    _LOG.exception("unexpected %s in pgwrap %s", type(error).__name__, run.command)
    detail = "the log has the details" if run.log_file else "run it again with --log-file FILE to keep the details"
    typer.echo(f"pgwrap: this is a defect of pgwrap ({type(error).__name__}), sorry; {detail}", err=True)
    raise typer.Exit(3 if run.output == "nagios" else EXIT_BUG)


def chosen(fleet: Fleet, patterns: list[str] | None) -> tuple[Cluster, ...]:
    """The clusters that names or shell patterns select, in the spec's order; UsageError when one selects none."""
    if not patterns or patterns == ["all"]:
        return fleet.clusters
    for pattern in patterns:
        if not any(_matches(cluster, pattern) for cluster in fleet.clusters):
            fleet.cluster(pattern)
    return tuple(cluster for cluster in fleet.clusters if any(_matches(cluster, pattern) for pattern in patterns))


def _matches(cluster: Cluster, pattern: str) -> bool:
    return cluster.name == pattern or fnmatchcase(cluster.name, pattern)


def colour() -> bool:
    """Whether standard output takes colour: a terminal that has not said NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
