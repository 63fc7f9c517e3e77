"""The formats of `pgwrap status -o`: the whole registry. A presenter returns text and prints nothing.

Importing it is cheap: a format's module is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pgwrap.present.presentation import StatusPresenter


def _table() -> StatusPresenter:
    from pgwrap.present.table import status_table

    return status_table


def _wide() -> StatusPresenter:
    from pgwrap.present.wide import status_wide

    return status_wide


def _json() -> StatusPresenter:
    from pgwrap.present.json_format import status_json

    return status_json


def _yaml() -> StatusPresenter:
    from pgwrap.present.yaml_format import status_yaml

    return status_yaml


def _csv() -> StatusPresenter:
    from pgwrap.present.csv_format import status_csv

    return status_csv


def _markdown() -> StatusPresenter:
    from pgwrap.present.markdown_format import status_markdown

    return status_markdown


def _nagios() -> StatusPresenter:
    from pgwrap.present.nagios import status_nagios

    return status_nagios


def _prometheus() -> StatusPresenter:
    from pgwrap.present.prometheus import status_prometheus

    return status_prometheus


FORMATS: Final[dict[str, Callable[[], StatusPresenter]]] = {
    "table": _table,
    "wide": _wide,
    "json": _json,
    "yaml": _yaml,
    "csv": _csv,
    "markdown": _markdown,
    "nagios": _nagios,
    "prometheus": _prometheus,
}
"""Each format's loader by the name that `-o` takes; `table` is the default."""
