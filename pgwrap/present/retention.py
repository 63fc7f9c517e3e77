"""`pgwrap retention` in its forms. It adds nothing to what was foretold, and leaves exact figures to the JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from pgwrap.domain.amounts import NOT_KNOWN, minute, moment, size, window
from pgwrap.domain.facts import Severity
from pgwrap.domain.retention import (
    BackupFate,
    ClusterRetention,
    Difference,
    FleetRetention,
    Forecast,
    WalFate,
    plural,
    total,
)
from pgwrap.present.colour import severity_word
from pgwrap.present.encode import Json
from pgwrap.present.envelope import ErrorEntry, envelope
from pgwrap.present.findings import finding_lines
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text
from pgwrap.present.presentation import Presentation
from pgwrap.present.table import SHORT_TYPES
from pgwrap.records import dataclass
from pgwrap.text.columns import wrap
from pgwrap.text.tables import table

RETENTION_SCHEMA = "pgwrap/retention/1"
_INDENT = "  "
_SHOWN = 3
"""How many ids a line names."""


def retention_data(fleet: FleetRetention, presentation: Presentation) -> Json:
    """The whole answer as data; the outcome is `partial` when some cluster could not be read."""
    errors = tuple(
        ErrorEntry(code=finding.code, message=finding.message, hint=finding.hint, cluster=cluster.name)
        for cluster in fleet.clusters
        if not cluster.read
        for finding in cluster.findings
    )
    whole = all(cluster.read for cluster in fleet.clusters)
    return envelope(RETENTION_SCHEMA, fleet, errors, presentation.now, "success" if whole else "partial")


def retention_json(fleet: FleetRetention, presentation: Presentation) -> str:
    """The whole answer as JSON text."""
    return json_text(retention_data(fleet, presentation))


def retention_yaml(fleet: FleetRetention, presentation: Presentation) -> str:
    """The same keys and values as one YAML document."""
    from pgwrap.text.yaml_text import dump  # noqa: PLC0415 - PyYAML is only loaded for those who ask for YAML

    return dump(retention_data(fleet, presentation))


def retention_table(fleet: FleetRetention, presentation: Presentation) -> str:
    """A block for each cluster: what is kept and why, what goes and when, what can be restored then."""
    blocks = ["\n".join(_cluster(cluster, fleet.days, presentation)) for cluster in fleet.clusters]
    return "\n\n".join(blocks or ["no clusters"]) + "\n"


def _cluster(cluster: ClusterRetention, days: int, presentation: Presentation) -> Iterator[str]:
    yield harmless(f"{cluster.name} ({cluster.engine} {cluster.engine_version or '?'})")
    if not cluster.read:
        yield from finding_lines(cluster.findings, presentation.width, colour=presentation.colour)
        return
    for forecast in cluster.repositories:
        yield from _forecast(forecast, presentation)
    yield from _recoverable(cluster)
    if cluster.unused_wal:
        count = sum(span.segments for span in cluster.unused_wal)
        yield f"{_INDENT}WAL that no backup can use: {plural(count, 'segment')}"
        yield from (f"{_INDENT * 2}{_span(span.archive, span.from_, span.to)}" for span in cluster.unused_wal)
    yield from _calendar(cluster, days, presentation.width)
    if cluster.what_if is not None:
        yield f"{_INDENT}what if {harmless(cluster.what_if.asked)}:"
        yield from (_INDENT * 2 + line for note in cluster.what_if.notes for line in wrap(note, presentation.width - 4))
        for forecast, difference in zip(cluster.what_if.repositories, cluster.what_if.differences, strict=False):
            yield from _difference(forecast, difference, presentation.width)


def _forecast(forecast: Forecast, presentation: Presentation) -> Iterator[str]:
    told = forecast.policy or "nothing is ever expired"
    by = f"; enforced by {forecast.enforced_by}" if forecast.enforced_by else ""
    yield _INDENT + harmless(f"{forecast.repository or 'repository'}: {told}{by}")
    if forecast.refuses:
        word = severity_word(Severity.CRITICAL, colour=presentation.colour)
        yield from wrap(f"refuses: {forecast.refuses}", presentation.width, first=f"{_INDENT * 2}{word} ")
    folds = _unfolded(forecast) if presentation.verbose else _folded(forecast)
    if not folds:
        yield f"{_INDENT * 2}no backups"
    else:
        lines = table([_row(fold) for fold in folds], ("backup", "type", "stopped (UTC)", "frees", "", "until (UTC)"))
        for line, fold in zip(lines.split("\n"), (None, *folds), strict=True):
            yield f"{_INDENT * 2}{line}"
            if fold is not None:
                inner = _INDENT * 4
                yield from wrap(harmless(_told(fold)), presentation.width, first=inner, rest=inner)
    yield from _wal(forecast, presentation.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    """A backup, and those that build on it and share its fate."""

    fate: BackupFate
    sharing: tuple[BackupFate, ...] = ()


def _unfolded(forecast: Forecast) -> tuple[_Fold, ...]:
    return tuple(_Fold(fate=fate) for fate in reversed(forecast.backups))


def _folded(forecast: Forecast) -> tuple[_Fold, ...]:
    """Newest first; a backup of the same fate as the full one it builds on is told with that."""
    roots = {fate.id: fate for fate in forecast.backups if not fate.needs}
    sharing: dict[str, list[BackupFate]] = {}
    alone = []
    for fate in forecast.backups:
        root = roots.get(fate.needs[0]) if fate.needs else None
        if root is not None and _fate(fate) == _fate(root):
            sharing.setdefault(root.id, []).append(fate)
        else:
            alone.append(fate)
    return tuple(_Fold(fate=fate, sharing=tuple(sharing.get(fate.id, ()))) for fate in reversed(alone))


def _fate(fate: BackupFate) -> tuple[object, ...]:
    return fate.kept, fate.expires, fate.event


def _told(fold: _Fold) -> str:
    fate = fold.fate
    told = f"{fate.reason}; goes {fate.event}" if fate.event else fate.reason
    if not fold.sharing:
        return told
    count = plural(len(fold.sharing), "backup that builds", "backups that build")
    return f"{told}; the same for {count} on it"


def _row(fold: _Fold) -> tuple[str, ...]:
    fate = fold.fate
    verdict = {True: "kept", False: "goes", None: "?"}[fate.kept]
    until = minute(fate.expires) if fate.expires is not None else ""
    frees = total(one.bytes for one in (fate, *fold.sharing))
    more = f" +{len(fold.sharing)}" if fold.sharing else ""
    stopped = minute(fate.stopped_at) if fate.stopped_at is not None else NOT_KNOWN
    return (harmless(fate.id) + more, SHORT_TYPES.get(fate.type, fate.type), stopped, size(frees), verdict, until)


def _wal(forecast: Forecast, width: int) -> Iterator[str]:
    if forecast.wal is None:
        yield f"{_INDENT * 2}WAL: not known what there is"
        return
    for kept, word in ((False, "goes"), (True, "kept")):
        for line in _by_reason(forecast.wal, kept=kept):
            yield from wrap(f"WAL {word}: {line}", width, first=_INDENT * 2, rest=_INDENT * 4)


def _by_reason(fates: Iterable[WalFate], *, kept: bool) -> Iterator[str]:
    """One line for each reason: how many segments, and the first and last of them."""
    grouped: dict[str, list[WalFate]] = {}
    for fate in fates:
        if fate.kept is kept:
            grouped.setdefault(fate.reason, []).append(fate)
    for reason, group in grouped.items():
        count = plural(sum(fate.segments for fate in group), "segment")
        yield harmless(f"{count}, {_span(group[0].archive, group[0].from_, group[-1].to)}: {reason}")


def _span(archive: str | None, first: str, last: str) -> str:
    where = f"{archive} " if archive else ""
    return f"{where}{first}" if first == last else f"{where}{first} to {last}"


def _recoverable(cluster: ClusterRetention) -> Iterator[str]:
    for title, intervals in (("now", cluster.recoverable), ("after that", cluster.recoverable_after)):
        if title == "after that" and intervals == cluster.recoverable:
            continue
        if not intervals:
            yield f"{_INDENT}recoverable {title}: nothing"
        for interval in intervals:
            where = f"{interval.repository or ''} timeline {interval.timeline}".strip()
            yield _INDENT + harmless(f"recoverable {title}: {window(interval.from_, interval.to)} UTC ({where})")


def _calendar(cluster: ClusterRetention, days: int, width: int) -> Iterator[str]:
    going = [fate for forecast in cluster.repositories for fate in forecast.going()]
    if going:
        frees = size(total(fate.bytes for fate in going))
        yield f"{_INDENT}at the next expiry: {plural(len(going), 'backup')} go, which frees {frees} beside the WAL"
    if not cluster.calendar:
        yield f"{_INDENT}by time alone nothing goes in the next {plural(days, 'day')}"
    for day in cluster.calendar:
        line = f"from {moment(day.at)} on: {_some(day.backups)} of {day.repository or '?'} ({size(day.bytes)})"
        yield from wrap(harmless(line), width, first=_INDENT, rest=_INDENT * 2)


def _difference(forecast: Forecast, difference: Difference, width: int) -> Iterator[str]:
    yield _INDENT * 2 + harmless(f"{forecast.repository or 'repository'}: {forecast.policy or 'nothing expires'}")
    changes = (
        ("would stay instead of going", difference.kept_instead),
        ("would go instead of staying", difference.gone_instead),
    )
    for words, ids in changes:
        if ids:
            yield from wrap(harmless(f"{words}: {_some(ids)}"), width, first=_INDENT * 3, rest=_INDENT * 4)
    if not difference.kept_instead and not difference.gone_instead:
        yield f"{_INDENT * 3}the same backups stay"
    segments = difference.wal_segments_kept
    if segments:
        yield f"{_INDENT * 3}{plural(abs(segments), 'WAL segment')} {'more' if segments > 0 else 'fewer'} stay"


def _some(ids: tuple[str, ...]) -> str:
    """The first of them; the JSON has all."""
    shown = ", ".join(ids[:_SHOWN])
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN} more"


RetentionPresenter: TypeAlias = Callable[[FleetRetention, Presentation], str]
FORMATS: Final[dict[str, RetentionPresenter]] = {
    "table": retention_table,
    "json": retention_json,
    "yaml": retention_yaml,
}
