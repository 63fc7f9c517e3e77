"""The Jinja2 door: found templates, no silent gaps."""

from __future__ import annotations

import jinja2
import pytest

from pgwrap.text.templating import render


def test_a_value_that_is_not_given_is_an_error() -> None:
    """A missing value never becomes empty text in a configuration file."""
    with pytest.raises(jinja2.UndefinedError):
        render("pgwrap.yaml.j2", {})


def test_a_template_that_does_not_exist_is_an_error() -> None:
    """Only the package's own templates are rendered."""
    with pytest.raises(jinja2.TemplateNotFound):
        render("no-such-template.j2", {})
