"""`pgwrap restore --only` in its forms. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import duration
from pgwrap.domain.extraction import Extraction, ExtractionPlan
from pgwrap.present.envelope import envelope
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

PLAN_SCHEMA = "pgwrap/restore-only-plan/1"
EXTRACTION_SCHEMA = "pgwrap/restore-only/1"


def plan_json(plan: ExtractionPlan, now: datetime) -> str:
    """The plan as JSON text."""
    return json_text(envelope(PLAN_SCHEMA, plan, (), now, "success"))


def result_json(done: Extraction, now: datetime) -> str:
    """What was done as JSON text."""
    return json_text(envelope(EXTRACTION_SCHEMA, done, (), now, "success"))


def plan_text(plan: ExtractionPlan) -> str:
    """The plan for people."""
    return "".join(f"{harmless(line)}\n" for line in _plan(plan))


def _plan(plan: ExtractionPlan) -> Iterator[str]:
    yield f"bring back {', '.join(plan.selections)} of {plan.cluster}"
    yield ""
    repository = f", repository {plan.repository}" if plan.repository else ""
    yield f"as of      {plan.target}, along timeline {plan.timeline}"
    yield f"backup     {plan.backup} of {plan.engine}{repository}"
    yield f"why        {plan.reason}"
    yield f"scratch    a private copy under {plan.directory}, removed afterwards; the original is not touched"
    yield f"load into  {plan.load_into}, in one transaction: whole or not at all; nothing there is replaced"
    yield from (f"note       {note}" for note in plan.notes)


def result_text(done: Extraction) -> str:
    """What was done."""
    what = ", ".join(done.plan.selections)
    took = f"{duration(done.seconds)}, {duration(done.restore_seconds)} of it to restore"
    return f"{harmless(f'loaded {what} into {done.plan.load_into}: {done.entries} entries; took {took}')}\n"
