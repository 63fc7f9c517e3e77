"""`pgwrap validate`: is the spec sound, and can the engines do what it says?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pgwrap.cli.choices import engine_choices
from pgwrap.cli.options import EngineVersions, LogFile, Offline, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import session


def validate(
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    engine_version: EngineVersions = None,
    offline: Offline = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Check the spec against the engines.

    Every error and warning is said at once, each with file:line:column.

    Words that the installed engine version does not know are errors where they touch safety and warnings elsewhere.
    Exit 0 when the spec can be used, 3 when it cannot.
    """
    with session("validate", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.errors import SpecError
        from pgwrap.ops.validate import validate as validate_spec
        from pgwrap.present.envelope import envelope
        from pgwrap.present.problems import problems_data, problems_text

        try:
            fleet = run.fleet(warn=False, as_written=True)
            world = run.world()
            choices = engine_choices(run, fleet, world, engine_version, offline=offline)
            problems = validate_spec(fleet, choices, world)
        except SpecError as error:
            problems = error.problems
        if output is Output.JSON:
            frame = envelope("pgwrap/validate/1", problems_data(problems), (), run.now, "success")
            run.answer(json.dumps(frame, indent=2, ensure_ascii=False))
        elif problems:
            run.answer(problems_text(problems))
        else:
            run.say("the spec is sound")
        if any(problem.severity == "error" for problem in problems):
            raise typer.Exit(SpecError.exit_code)
