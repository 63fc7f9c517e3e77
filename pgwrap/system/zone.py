"""The time zone of this host, by which Barman counts the days of a window. It reads no clock."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOST = "/etc/localtime"


def local_zone(environment: str | None = None) -> tzinfo:
    """What `TZ` names, else the host's; UTC where neither can be read, as the C library does."""
    name = (os.environ.get("TZ") if environment is None else environment) or ""
    try:
        if name and not name.startswith((":", "/")):
            return ZoneInfo(name)
        with Path(name.removeprefix(":") or _HOST).open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
