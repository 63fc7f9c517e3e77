"""The command tree. It imports nothing heavy, so that `pgwrap --help` answers at once."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from pgwrap import __version__
from pgwrap.cli import (
    apply,
    backup,
    canary,
    check,
    diff,
    drill,
    eject,
    expire,
    hold,
    import_files,
    init,
    list_backups,
    migrate,
    render,
    restore,
    retention,
    schema,
    status,
    streams,
    validate,
    verify,
)

app = typer.Typer(
    name="pgwrap",
    help="One spec and one status for PostgreSQL backups, whichever engine makes them: pgBackRest or Barman.",
    epilog="Exit codes: 0 yes, 1 the answer is no, 2 usage, 3 spec invalid, 4 engine missing or unsupported, "
    "5 engine failed, 6 engine output not understood, 7 busy, 8 refused, 70 a defect of pgwrap, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pgwrap {__version__}")
        raise typer.Exit


@app.callback()
def pgwrap(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print pgwrap's version and exit.")
    ] = False,
) -> None:
    """One spec and one status for PostgreSQL backups, whichever engine makes them: pgBackRest or Barman.

    Start with `pgwrap init`, check with `pgwrap validate`, write native files with `pgwrap render`,
    and ask `pgwrap status` whether every cluster could be restored right now.
    """


for command in (
    init.init,
    validate.validate,
    schema.schema,
    render.render,
    diff.diff,
    apply.apply,
    eject.eject,
    backup.backup,
    verify.verify,
    restore.restore,
    hold.hold,
    hold.release,
    retention.retention,
    expire.expire,
    drill.drill,
    canary.canary,
):
    app.command(command.__name__)(command)
app.add_typer(migrate.migrate, name="migrate")
app.command("ready")(migrate.plan)
app.command("import")(import_files.import_files)
app.command("list")(list_backups.list_backups)
app.command("check", cls=status.StatusCommand)(check.check)
app.command("status", cls=status.StatusCommand)(status.status)


def main() -> None:
    """The console script."""
    gc.disable()  # a command is short, and what it makes has no cycles: looking for some costs a status 6 % of its time
    streams.prepare()
    _narrow(app, sys.argv[1:2])
    app()


def _narrow(tree: typer.Typer, first: list[str]) -> None:
    """Where the first word names a command, leave the others out: Typer would make each of them ready to run."""
    commands = [command for command in tree.registered_commands if command.name in first]
    groups = [group for group in tree.registered_groups if group.name in first]
    if commands or groups:
        tree.registered_commands, tree.registered_groups = commands, groups
