"""Barman's retention policies: what a text means, in one spelling. It applies no policy; `barman cron` does.

Source: barman/retention_policies.py. Versions before 3.13 show the parsed policy as `redundancy 2 b` or `window 7 d`.
"""

from __future__ import annotations

import re
from typing import Final

from pgwrap.domain.model import RetentionPolicy

_REDUNDANCY: Final = re.compile(r"\s*redundancy\s+(\d+)(?:\s+b)?\s*", re.IGNORECASE)
_WINDOW: Final = re.compile(
    r"\s*(?:recovery\s+window\s+of|window)\s+(\d+)\s+(d|w|m|day|week|month)s?\s*", re.IGNORECASE
)
_UNITS: Final = {"d": "DAYS", "w": "WEEKS", "m": "MONTHS"}
ENFORCED_BY: Final = "barman cron"


def understood(text: str | None) -> str | None:
    """`REDUNDANCY n` or `RECOVERY WINDOW OF n DAYS`; None for none and for a text that Barman ignores."""
    redundancy = _REDUNDANCY.fullmatch(text or "")
    if redundancy is not None:
        return f"REDUNDANCY {int(redundancy[1])}"
    window = _WINDOW.fullmatch(text or "")
    if window is not None:
        return f"RECOVERY WINDOW OF {int(window[1])} {_UNITS[window[2][0].lower()]}"
    return None


def described(policy: str, minimum: int) -> str:
    """The policy with Barman's floor under it (`minimum_redundancy`)."""
    return f"{policy}, minimum redundancy {minimum}" if minimum else policy


def native(policy: RetentionPolicy) -> str | None:
    """The spec's words as Barman's; None where nothing is ever to expire. Barman takes one rule: the window wins."""
    if policy.window_days is not None:
        return f"RECOVERY WINDOW OF {policy.window_days} DAYS"
    return None if policy.full is None else f"REDUNDANCY {policy.full}"
