"""A plan, and what became of it, in text and JSON. It does nothing, and shows no secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.applying import Applied, StepResult
from pgwrap.domain.plan import AlterSystem, Check, Effect, Note, Plan, Retire, Run, Switch, WriteFile
from pgwrap.present.encode import Json, encode
from pgwrap.present.envelope import envelope, error_entries
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

PLAN_SCHEMA = "pgwrap/plan/1"
_KINDS: dict[type[Effect], str] = {
    WriteFile: "write-file",
    Retire: "retire-file",
    Switch: "switch-files",
    Check: "check",
    Run: "run",
    AlterSystem: "alter-system",
    Note: "by-hand",
}


def plan_text(plan: Plan) -> str:
    """What will be done, in order, each with its reason; then what is left to the operator."""
    lines = []
    for number, step in enumerate((step for step in plan.steps if not isinstance(step.effect, Note)), start=1):
        lines.append(f"{number:3}. {harmless(f'{step.subject}: {_what(step.effect)}')}")
        if step.reason:
            lines.append(f"     {harmless(f'because {step.reason}')}")
    lines += [line for step in plan.left for line in _by_hand(step.subject, step.effect)]
    lines += [harmless(f"note: {note}") for note in plan.notes]
    return "".join(f"{line}\n" for line in lines)


def applied_text(applied: Applied) -> str:
    """What was done, in a line, and what is left or failed."""
    done = sum(result.state == "done" for result in applied.steps)
    lines = [f"{done} of {sum(not isinstance(one.step.effect, Note) for one in applied.steps)} steps done"]
    for result in applied.steps:
        if result.state in ("failed", "undone", "not-reached"):
            what = harmless(f"{result.step.subject}: {_what(result.step.effect)}")
            lines.append(f"{result.state.replace('-', ' ')}: {what}")
        elif result.state == "left":
            lines += _left(result)
    return "".join(f"{line}\n" for line in lines)


def applied_json(applied: Applied, now: datetime) -> str:
    """The plan and what became of it as JSON text."""
    errors = tuple(entry for error in applied.errors for entry in error_entries(error))
    result = {
        "dry_run": applied.dry_run,
        "steps": [_step(result) for result in applied.steps],
        "objections": list(applied.plan.objections),
        "notes": list(applied.plan.notes),
    }
    return json_text(envelope(PLAN_SCHEMA, result, errors, now, "partial" if errors else "success"))


def _left(result: StepResult) -> Iterator[str]:
    if isinstance(result.step.effect, Note):
        yield from _by_hand(result.step.subject, result.step.effect)
    else:
        yield f"left to you: {harmless(f'{result.step.subject}: {result.message}')}"


def _by_hand(subject: str, effect: Effect) -> Iterator[str]:
    if isinstance(effect, Note):
        yield f"left to you: {harmless(f'{subject}: {effect.message}')}"
        if effect.by_hand:
            yield f"  → {harmless(effect.by_hand)}"


def _what(effect: Effect) -> str:
    """One effect in words."""
    match effect:
        case WriteFile():
            owner = ":".join(name for name in (effect.owner, effect.group) if name)
            return f"write {effect.path} (mode {effect.mode:04o}{f', owner {owner}' if owner else ''})"
        case Retire():
            return f"rename {effect.path} to {effect.path}.old"
        case Switch():
            return f"write {effect.file.path} and at the same moment rename {', '.join(effect.retired)} to NAME.old"
        case Check():
            return f"have {effect.installation} check its files in place"
        case Run() | AlterSystem():
            return f"run {effect.command.quoted()}"
        case Note():
            return effect.message


def _step(result: StepResult) -> Json:
    step, effect = result.step, result.step.effect
    path = effect.path if isinstance(effect, WriteFile | Retire) else None
    path = effect.file.path if isinstance(effect, Switch) else path
    command = effect.command.quoted() if isinstance(effect, Run | AlterSystem) else None
    settings = effect.settings if isinstance(effect, AlterSystem) else ()
    return {
        "kind": _KINDS[type(effect)],
        "subject": step.subject,
        "what": _what(effect),
        "reason": step.reason,
        "done_when": step.done_when,
        "state": result.state,
        "message": result.message,
        "path": path,
        "retired": list(effect.retired) if isinstance(effect, Switch) else [],
        "command": command,
        "settings": [{"name": one.name, "value": one.value, "restart": one.restart} for one in settings],
        "by_hand": encode(effect.by_hand if isinstance(effect, Note) else ""),
    }
