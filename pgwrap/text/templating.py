"""The one Jinja2 door: a template of the package and its values to text. It decides nothing about what is in either."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2


def render(template: str, values: Mapping[str, object]) -> str:
    """The text of `template` (a name such as `pgwrap.yaml.j2`) with `values`.

    Raises jinja2.UndefinedError for a value that is used and not given, and jinja2.TemplateNotFound: both are bugs.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    # Pages are escaped here; for configuration files that is the business of whoever gives the values.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_directories()),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _directories() -> list[Path]:
    """Inside the installed package; beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    return [package / "templates", package.parent / "templates"]
