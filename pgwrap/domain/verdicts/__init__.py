"""Verdicts: from facts to one status per cluster, with reasons and what to type next. Nothing is looked up."""

from __future__ import annotations

from pgwrap.domain.verdicts.assessment import assess, fleet_status

__all__ = ["assess", "fleet_status"]
