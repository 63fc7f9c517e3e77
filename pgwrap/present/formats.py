"""The formats of `pgwrap status -o`: the whole registry. A presenter returns text and prints nothing."""

from __future__ import annotations

from pgwrap.present.json_format import status_json
from pgwrap.present.presentation import StatusPresenter
from pgwrap.present.table import status_table

FORMATS: dict[str, StatusPresenter] = {
    "table": status_table,
    "json": status_json,
}
