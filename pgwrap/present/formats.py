"""The formats of `pgwrap status -o`: the whole registry. A presenter returns text and prints nothing."""

from __future__ import annotations

from pgwrap.present.csv_format import status_csv
from pgwrap.present.json_format import status_json
from pgwrap.present.markdown_format import status_markdown
from pgwrap.present.nagios import status_nagios
from pgwrap.present.presentation import StatusPresenter
from pgwrap.present.prometheus import status_prometheus
from pgwrap.present.table import status_table
from pgwrap.present.wide import status_wide
from pgwrap.present.yaml_format import status_yaml

FORMATS: dict[str, StatusPresenter] = {
    "table": status_table,
    "wide": status_wide,
    "json": status_json,
    "yaml": status_yaml,
    "csv": status_csv,
    "markdown": status_markdown,
    "nagios": status_nagios,
    "prometheus": status_prometheus,
}
"""By the name that `-o` takes; `table` is the default."""
