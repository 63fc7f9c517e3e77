"""The finding that a cluster's native configuration is not what its spec says. It compares nothing itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from pgwrap.domain.drift import InstallationDrift, OptionDrift
from pgwrap.domain.facts import Finding, FindingCode, Severity

_NAMED: Final = 3
"""How many options a sentence names."""


def drift_finding(cluster: str, drift: InstallationDrift) -> Finding | None:
    """What of an installation's drift concerns one cluster; None when nothing does.

    A text that differs and means the same is a note: the next apply would change it, and no backup is another for it.
    """
    hint = f"pgwrap diff {shlex.quote(cluster)}"
    if drift.unknown is not None:
        return _finding(Severity.UNKNOWN, f"the native files could not be compared: {drift.unknown}", hint)
    said = [*_files(cluster, drift), *_options(cluster, drift)]
    if drift.refusals:
        said.insert(0, f"the engine refuses what is in place: {drift.refusals[0]}")
    if said:
        return _finding(Severity.WARNING, "; ".join(said), hint)
    texts = [file.path for file in drift.files if file.state == "differs" and cluster in file.clusters]
    if texts:
        return _finding(
            Severity.OK, f"{', '.join(texts)} has another text than the spec gives, of the same meaning", hint
        )
    return None


def _finding(severity: Severity, message: str, hint: str) -> Finding:
    return Finding(code=FindingCode.CONFIG_DRIFT, severity=severity, message=message, hint=hint)


def _files(cluster: str, drift: InstallationDrift) -> Iterator[str]:
    for file in drift.files:
        concerned = not file.clusters or cluster in file.clusters
        if concerned and file.state in ("missing", "unread", "access"):
            yield f"{file.path}: {file.detail}"
        elif file.state == "left-over":
            yield f"{file.path} is left over: {file.detail}"


def _options(cluster: str, drift: InstallationDrift) -> Iterator[str]:
    mine = [option for option in drift.options if option.cluster in (cluster, None)]
    if mine:
        more = f" and {len(mine) - _NAMED} more" if len(mine) > _NAMED else ""
        yield f"not as the spec says: {', '.join(_option(option) for option in mine[:_NAMED])}{more}"


def _option(option: OptionDrift) -> str:
    before = "not set" if option.before is None else option.before
    after = "not set" if option.after is None else option.after
    return f"{option.option}: {before} → {after}"
