"""A canary: a row that pgwrap writes into a cluster so that a drill can tell what a restore loses. It writes none."""

from __future__ import annotations

from datetime import datetime

from pgwrap.records import dataclass

KEPT = 1000
"""Rows that stay in the table: what is older goes with each new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """`result` of `pgwrap canary`; after a prune `id` is the newest row's, and None without one."""

    cluster: str
    id: int | None
    written_at: datetime | None = None
    lsn: str | None = None
    created: bool = False
    """Whether its schema and table were made."""
    pruned: int = 0
    """Rows that were removed."""
