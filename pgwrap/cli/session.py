"""The composition root: puts the world together, and is the one place where an error becomes an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from pgwrap.cli.streams import discard_output
from pgwrap.errors import EXIT_BUG, Interrupted, PgwrapError, SpecError, UsageError
from pgwrap.records import dataclass

if TYPE_CHECKING:
    from pgwrap.domain.model import Cluster, Fleet
    from pgwrap.ops.world import World
    from pgwrap.system.port import Journal
    from pgwrap.system.process import ProcessRunner, Waiting
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
    probers: deque[Waiting] = field(default_factory=deque)
    """Processes that ask PostgreSQL, started ahead; who asks takes one."""
    stopping: bool = False
    """Whether a signal has struck."""
    output_lost: bool = False
    """Whether standard output could not be written: what is left to say goes to standard error."""

    def say(self, text: str) -> None:
        """Talk to the person: standard error, unless quiet."""
        if not self.quiet:
            typer.echo(text, err=True)

    def answer(self, text: str) -> None:
        """The command's result: standard output; UsageError when it takes no more (a full disk)."""
        try:
            typer.echo(text, nl=not text.endswith("\n"))
        except BrokenPipeError:
            raise
        except OSError as error:
            discard_output()
            self.output_lost = True
            raise UsageError(
                f"the answer could not be written to standard output: {error.strerror}",
                hint="make room where standard output goes",
            ) from error

    def fleet(self, *, warn: bool = True, as_written: bool = False) -> Fleet:
        """The spec, with its warnings said unless the command reports them itself; as its migrations have it stand."""
        from pgwrap.spec.loader import load
        from pgwrap.system.fleet_cache import FleetPickles, cache_directory

        directory = cache_directory()
        cache = FleetPickles(directory=directory) if directory is not None else None
        fleet = load(self.spec_file, environment=os.environ, is_root=os.geteuid() == 0, cache=cache)
        for warning in fleet.warnings if warn else ():
            self.say(str(warning))
        self.open_log(fleet.state)
        if as_written or all(cluster.replaces is None for cluster in fleet.clusters):
            return fleet
        from pgwrap.ops.migration_memory import standing

        return standing(fleet, journal_of(fleet.state))

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
        from pgwrap.system.programs import InstalledPrograms
        from pgwrap.system.secrets import SecretResolver, masked
        from pgwrap.system.zone import local_zone

        runner = self.processes()
        return World(
            runner=runner,
            files=LocalFiles(),
            postgres=PostgresDoorway(runner=runner, waiting=self.probers),
            programs=InstalledPrograms(),
            secret=SecretResolver(runner=runner, redactor=self.redactor(), environment=os.environ),
            masked=masked,
            engines=ENGINES,
            journal=journal_of,
            zone=local_zone(),
        )

    def processes(self) -> ProcessRunner:
        """The process door, the same for the whole command."""
        from pgwrap.system.process import ProcessRunner

        if self.runner is None:
            ssh_config = os.environ.get("PGWRAP_SSH_CONFIG")
            self.runner = ProcessRunner(ssh_options=("-F", ssh_config) if ssh_config else ())
        return self.runner

    def expect_postgres(self, questions: int = 1) -> None:
        """PostgreSQL will be asked: its process gets ready while the spec is read, and is ended if nobody asks."""
        from pgwrap.system.database import prober

        started = (self.processes().start(prober()) for _ in range(questions))
        self.probers.extend(one for one in started if one is not None)

    def end_prober(self) -> None:
        """Leave no process that nobody asked."""
        for one in self.probers:
            one.drop()

    def stop(self) -> None:
        """Stop every child that is still running."""
        if self.runner is not None:
            self.runner.stop_all()


def journal_of(state: str) -> Journal:
    """The journal in a state directory; SQLite is loaded only where there is one, or is to be."""
    from pgwrap.system.journal import SqliteJournal

    return SqliteJournal(state=state)


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
    caught = _catch_signals(run)
    try:
        yield run
    except Signalled as signalled:
        _fail(run, signalled.error())
    except PgwrapError as error:
        _fail(run, error)
    except BrokenPipeError:
        discard_output()
        raise typer.Exit(EXIT_TERMINATED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: a runbook gets a sentence, the log the rest
        _apologise(run, error)
    finally:
        run.end_prober()
        _let_go_of_signals(run, caught)


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


class Defect(PgwrapError):
    """A mistake in pgwrap itself."""

    exit_code = EXIT_BUG
    slug = "bug"


class Signalled(KeyboardInterrupt):
    """A signal struck. No PgwrapError yet: nothing on the way out may take it for an engine's failure."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def error(self) -> Interrupted:
        """What is said of it."""
        stopped = "the engine processes that pgwrap had started were stopped"
        if self.number == signal.SIGINT:
            return Interrupted(f"interrupted; {stopped}")
        return Terminated(f"terminated; {stopped}")


def _catch_signals(run: Session) -> dict[signal.Signals, Any]:
    """Turn signals into exceptions, and give what was there before; what the caller ignores (nohup) stays ignored."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if run.stopping:  # an impatient second Ctrl-C must not tear the stopping apart
            return
        run.stopping = True
        run.stop()
        raise Signalled(number)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: now for number in wanted if (now := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    return before


def _let_go_of_signals(run: Session, before: dict[signal.Signals, Any]) -> None:
    """Put back what was there; after an interruption go on ignoring signals to the end, which is near."""
    for number, handler in before.items() if not run.stopping else ():
        signal.signal(number, handler)


def _fail(run: Session, error: PgwrapError) -> NoReturn:
    """Print what went wrong and leave with its exit code."""
    run.stop()
    _mask(error, run.redactor().mask)
    _LOG.error("%s: %s", error.slug, error.message)
    if run.output == "json" and not run.output_lost:
        from pgwrap.present.envelope import error_envelope

        run.answer(json.dumps(error_envelope(run.command, error, run.now), indent=2, ensure_ascii=False))
    elif run.output == "nagios" and not run.output_lost:
        from pgwrap.present.nagios import nagios_failure

        run.answer(nagios_failure(error))
    else:
        _tell(error)
    raise typer.Exit(3 if run.output == "nagios" else error.exit_code)


def _tell(error: PgwrapError) -> None:
    """An error in words; the problems of a spec are lines of their own, as editors and CI read them."""
    if isinstance(error, SpecError):
        typer.echo("\n".join(str(problem) for problem in error.problems), err=True)
        return
    typer.echo(f"pgwrap: {error.message}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)


def _mask(error: PgwrapError, mask: Callable[[str], str]) -> None:
    """Take secrets out of everything that will be shown of an error."""
    error.message, error.hint = mask(error.message), mask(error.hint)
    if isinstance(error, SpecError):
        error.problems = tuple(
            replace(problem, message=mask(problem.message), hint=mask(problem.hint)) for problem in error.problems
        )


def _apologise(run: Session, error: Exception) -> NoReturn:
    """A defect of ours: one sentence and where the details are."""
    _LOG.exception("unexpected %s in pgwrap %s", type(error).__name__, run.command)
    detail = "the log has the details" if run.log_file else "run it again with --log-file FILE to keep the details"
    _fail(run, Defect(f"this is a defect of pgwrap ({type(error).__name__}), sorry", hint=detail))


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
