"""`pgwrap restore --only`: bring a database, a schema or a table back into a running server."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from pgwrap.cli.drill import tools_for
from pgwrap.cli.session import Session
from pgwrap.errors import Refused, UsageError

if TYPE_CHECKING:
    from pgwrap.domain.model import Fleet
    from pgwrap.domain.selection import Selection
    from pgwrap.ops.extraction import ExtractionOptions

_PASSWORD: Final = re.compile(r"\bpassword\s*=|://[^/@]*:[^/@]*@", re.IGNORECASE)


def require_no_placement(given: Mapping[str, object]) -> None:
    """UsageError for an option that says where or what the copy is to be: with --only it is removed again."""
    named = next((option for option, value in given.items() if value), None)
    if named is not None:
        message = f"{named} does not go with --only, whose copy is private and removed afterwards"
        raise UsageError(message, hint=f"leave out {named}")


def selections(texts: list[str]) -> tuple[Selection, ...]:
    """What --only names; UsageError for what names nothing."""
    from pgwrap.domain.selection import Selection

    try:
        return tuple(dict.fromkeys(Selection.parse(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--only: {error}", hint='such as shop.public.orders, or shop.public."Odd.Name"') from error


def connection(text: str | None) -> str:
    """Where to load; UsageError without it, and with a password, which every user of the host could see."""
    if not text:
        raise UsageError("--only needs --load-into, where to load", hint="--load-into 'host=db1 dbname=shop'")
    if _PASSWORD.search(text):
        raise UsageError(
            "--load-into holds a password, which every user of this host could see",
            hint="keep it in ~/.pgpass, or in a service: --load-into service=NAME",
        )
    return text if "=" in text or "://" in text else f"dbname={text}"


def extract(run: Session, fleet: Fleet, cluster: str, options: ExtractionOptions, *, dry_run: bool, yes: bool) -> None:
    """Plan, show, ask, and do it."""
    from pgwrap.ops.extraction import carry_out, plan_extraction
    from pgwrap.present.extraction import plan_json, plan_text, result_json, result_text
    from pgwrap.system.database import PostgresDoorway

    door = PostgresDoorway(runner=run.processes())
    prepared = plan_extraction(
        fleet,
        fleet.cluster(cluster),
        run.world(),
        tools_for(run, fleet),
        options,
        look=lambda dsn: door.discover(dsn, 10.0),
    )
    as_json = run.output == "json"
    if dry_run:
        run.answer(plan_json(prepared.plan, run.now) if as_json else plan_text(prepared.plan))
        return
    run.say(plan_text(prepared.plan).rstrip())
    _confirm(prepared.plan.load_into, yes=yes)
    done = carry_out(prepared, say=run.say)
    run.answer(result_json(done, run.now) if as_json else result_text(done))


def absolute(directory: str | None) -> str | None:
    """So that PostgreSQL, which works elsewhere, finds it."""
    return None if directory is None else str(Path(directory).resolve())


def _confirm(place: str, *, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("nothing was restored: there is nobody to ask", hint="say --yes to have the plan carried out")
    if not typer.confirm(f"load it into {place}?", err=True):
        raise Refused("nothing was loaded: it was not confirmed", hint="see the plan alone with --dry-run")
