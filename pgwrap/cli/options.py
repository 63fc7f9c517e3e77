"""Options that several commands share, with one meaning and one wording each."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from pgwrap.errors import PgwrapError


def cluster_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names the shell can complete: those of the spec that the command line so far points at."""
    from pgwrap.spec.loader import load

    try:
        fleet = load(context.params.get("config"), environment=os.environ, is_root=os.geteuid() == 0)
    except PgwrapError:
        return []
    return [cluster.name for cluster in fleet.clusters if cluster.name.startswith(incomplete)]


class Output(StrEnum):
    """How a command answers that has no more forms than these."""

    TEXT = "text"
    JSON = "json"


SpecFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        envvar="PGWRAP_CONFIG",
        metavar="FILE",
        help="The spec. Default: /etc/pgwrap/pgwrap.yaml, then ~/.config/pgwrap/pgwrap.yaml.",
    ),
]
Verbose: TypeAlias = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, show_default=False, help="Say more on standard error; twice: every command run."
    ),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors.")]
LogFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--log-file",
        envvar="PGWRAP_LOG_FILE",
        metavar="FILE",
        help="Where every command that is run is logged. Default: log/pgwrap.log in the spec's state directory.",
    ),
]
EngineVersions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-version",
        metavar="[ENGINE=]VERSION",
        help="Check and write for this version instead of the installed one, such as barman=3.13.3. Repeatable.",
    ),
]
Offline: TypeAlias = Annotated[
    bool, typer.Option("--offline", help="Do not ask the engines for their version; take the newest known one.")
]
Clusters: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLUSTER", help="Clusters by name or shell pattern. Default: all.", autocompletion=cluster_names
    ),
]
