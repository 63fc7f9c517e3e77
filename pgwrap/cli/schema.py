"""`pgwrap schema`: the JSON Schemas of what goes in and what comes out."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from pgwrap.cli.session import session


class Subject(StrEnum):
    """What has a schema."""

    SPEC = "spec"
    STATUS = "status"
    LIST = "list"
    RETENTION = "retention"
    BACKUP = "backup"
    VERIFY = "verify"
    CHECK = "check"


def schema(
    subject: Annotated[
        Subject,
        typer.Argument(
            metavar="spec|status|list|retention|backup|verify|check",
            help="spec: for your editor. The others: of that command's `-o json`.",
        ),
    ] = Subject.SPEC,
) -> None:
    """Print the JSON Schema of the spec or of an answer.

    For the editor: `pgwrap schema > pgwrap.schema.json`, and as the spec's first line
    `# yaml-language-server: $schema=./pgwrap.schema.json`.
    """
    with session("schema") as run:
        if subject is Subject.SPEC:
            from pgwrap.spec.json_schema import spec_schema as document
        else:
            from pgwrap.present import schema as schemas

            document = schemas.SCHEMAS[subject.value]
        run.answer(json.dumps(document(), indent=2, ensure_ascii=False))
