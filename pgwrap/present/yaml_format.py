"""The JSON contract of `pgwrap status` written as YAML: the same keys and values. It changes nothing in the data."""

from __future__ import annotations

from pgwrap.domain.facts import FleetStatus
from pgwrap.present.json_format import status_data
from pgwrap.present.presentation import Presentation


def status_yaml(fleet: FleetStatus, presentation: Presentation) -> str:
    """The whole answer as one YAML document."""
    from pgwrap.text.yaml_text import dump  # noqa: PLC0415 - PyYAML is only loaded for those who ask for YAML

    return dump(status_data(fleet, presentation))
