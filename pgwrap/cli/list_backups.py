"""`pgwrap list`: the backups of every cluster, whichever engine holds them, and the ones that are asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, get_args

import typer

from pgwrap.cli.options import Clusters, LogFile, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, colour, session
from pgwrap.errors import UsageError

if TYPE_CHECKING:
    from pgwrap.present.envelope import ErrorEntry

Word = TypeVar("Word", bound=str)
_SHORT: Final[Mapping[str, str]] = {"diff": "differential", "incr": "incremental"}
"""As the table shows them."""


class Output(StrEnum):
    """The forms of the same answer."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "markdown"


def list_backups(
    clusters: Clusters = None,
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="In which form.")] = Output.TABLE,
    ids: Annotated[bool, typer.Option("--ids", help="Print nothing but ids, one a line, for scripts.")] = False,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help="Only these: full, differential, incremental, snapshot, logical. Repeatable, or with commas.",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only these: done, waiting_for_wal, running, failed, invalid. Repeatable, or with commas.",
        ),
    ] = None,
    repository: Annotated[
        list[str] | None,
        typer.Option(
            "--repository", "-r", metavar="NAME", help="Only those in this repository. Repeatable, or with commas."
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="DURATION", help="Only those that ended longer ago than this, such as 7d."
        ),
    ] = None,
    newer_than: Annotated[
        str | None,
        typer.Option("--newer-than", metavar="DURATION", help="Only those that ended less long ago, such as 12h."),
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="Only those that `pgwrap hold` or the engine keeps.")] = False,
    restorable: Annotated[
        bool | None,
        typer.Option(
            "--restorable/--not-restorable",
            help="Only those that can, or that cannot, be restored; one of which that is not known is neither.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call of an engine.")
    ] = 30.0,
    local: Annotated[
        bool, typer.Option("--local", help="Leave out clusters whose engine runs on another host, and say so.")
    ] = False,
    write: Annotated[
        str | None,
        typer.Option("--write", metavar="FILE", help="Write the answer there, atomically, instead of printing it."),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """List the backups of both engines, newest first.

    Options that choose can be combined: what meets all of them is listed. Reads only; changes nothing anywhere.
    A cluster that cannot be read is said, and never shown as one without backups.

    Exit 0 when every cluster could be read whole, 1 when one could not.
    """
    with session("list", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.domain.facts import BackupState, BackupType
        from pgwrap.domain.listing import Wanted
        from pgwrap.domain.plan import WriteFile
        from pgwrap.ops.list_backups import ListOptions
        from pgwrap.ops.list_backups import list_backups as look
        from pgwrap.present.listing import FORMATS, list_ids, unlisted
        from pgwrap.present.presentation import Presentation

        if ids and output is not Output.TABLE:
            raise UsageError("--ids is a form of its own", hint="leave out --output")
        wanted = Wanted(
            types=_words("--type", (_SHORT.get(word, word) for word in _split("--type", type_)), get_args(BackupType)),
            states=_words("--state", _split("--state", state), get_args(BackupState)),
            repositories=frozenset(_split("--repository", repository)),
            older_than=_seconds("--older-than", older_than),
            newer_than=_seconds("--newer-than", newer_than),
            held=held,
            restorable=restorable,
        )
        fleet = run.fleet()
        world = run.world()
        options = ListOptions(wanted=wanted, deadline=timeout, local=local)
        answer = look(fleet, chosen(fleet, clusters), world, now=run.now, options=options)
        for name in answer.left_out:
            run.say(f"{name}: left out, its engine runs on another host")
        if answer.undecided:
            run.say(f"left out, as it is not known whether they are wanted: {answer.undecided}")
        width = shutil.get_terminal_size((100, 24)).columns
        presentation = Presentation(colour=write is None and colour(), width=width, verbose=verbose > 0, now=run.now)
        text = (list_ids if ids else FORMATS[output.value])(answer, presentation)
        if write is not None:
            world.files.write(WriteFile(path=write, text=text, mode=0o644))
        elif text:
            run.answer(text)
        errors = unlisted(answer)
        _say_errors(errors)
        raise typer.Exit(int(bool(errors)))


def _split(option: str, texts: list[str] | None) -> tuple[str, ...]:
    """The words of an option that is repeated or holds commas; UsageError for an empty one, as `$UNSET` gives it."""
    words = tuple(part.strip() for text in texts or () for part in text.split(","))
    if "" in words:
        raise UsageError(f"{option}: a value is empty", hint="leave the option out to choose all")
    return words


def _words(option: str, asked: Iterable[str], known: tuple[Word, ...]) -> frozenset[Word]:
    """The words asked for; UsageError for one that is none of the known."""
    by_text = {str(word): word for word in known}
    words = tuple(asked)
    for word in words:
        if word not in by_text:
            raise UsageError(f"{option}: there is no {word!r}", hint=f"one or more of: {', '.join(by_text)}")
    return frozenset(by_text[word] for word in words)


def _seconds(option: str, text: str | None) -> int | None:
    """The seconds in a duration as the spec writes it; UsageError for anything else."""
    from pgwrap.spec.quantities import QuantityError, parse_duration

    try:
        return None if text is None else parse_duration(text)
    except QuantityError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def _say_errors(errors: tuple[ErrorEntry, ...]) -> None:
    """On standard error whatever the form, and however quiet: an answer in pieces must not pass for a whole one."""
    from pgwrap.present.harmless import harmless

    for error in errors:
        typer.echo(harmless(f"{error.cluster}: {error.message}"), err=True)
        if error.hint:
            typer.echo(harmless(f"→ {error.hint}"), err=True)
