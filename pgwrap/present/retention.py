"""`pgwrap retention` in its forms. It adds nothing to what was foretold, and leaves exact figures to the JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from pgwrap.domain.amounts import moment, size, window
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
from pgwrap.text.columns import wrap
from pgwrap.text.tables import table

RETENTION_SCHEMA = "pgwrap/retention/1"
_INDENT = "  "


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
    yield from _calendar(cluster, days)
    if cluster.what_if is not None:
        yield f"{_INDENT}what if {harmless(cluster.what_if.asked)}:"
        yield from (_INDENT * 2 + line for note in cluster.what_if.notes for line in wrap(note, presentation.width - 4))
        for forecast, difference in zip(cluster.what_if.repositories, cluster.what_if.differences, strict=False):
            yield from _difference(forecast, difference)


def _forecast(forecast: Forecast, presentation: Presentation) -> Iterator[str]:
    told = forecast.policy or "nothing is ever expired"
    by = f"; enforced by {forecast.enforced_by}" if forecast.enforced_by else ""
    yield _INDENT + harmless(f"{forecast.repository or 'repository'}: {told}{by}")
    if forecast.refuses:
        word = severity_word(Severity.CRITICAL, colour=presentation.colour)
        yield from wrap(f"refuses: {forecast.refuses}", presentation.width, first=f"{_INDENT * 2}{word} ")
    rows = [_row(fate) for fate in reversed(forecast.backups)]
    if rows:
        headers = ("backup", "type", "stopped (UTC)", "frees", "", "until")
        for line, fate in zip(table(rows, headers).split("\n"), (None, *reversed(forecast.backups)), strict=True):
            yield f"{_INDENT * 2}{line}"
            if fate is not None:
                inner = _INDENT * 4
                yield from wrap(harmless(fate.reason), presentation.width, first=inner, rest=inner)
    else:
        yield f"{_INDENT * 2}no backups"
    yield from _wal(forecast)


def _row(fate: BackupFate) -> tuple[str, ...]:
    verdict = {True: "kept", False: "goes", None: "?"}[fate.kept]
    held = f" (held: {fate.held})" if fate.held else ""
    until = moment(fate.expires) if fate.expires is not None else fate.event or ""
    return (harmless(fate.id), fate.type, moment(fate.stopped_at), size(fate.bytes), f"{verdict}{held}", until)


def _wal(forecast: Forecast) -> Iterator[str]:
    if forecast.wal is None:
        yield f"{_INDENT * 2}WAL: not known what there is"
        return
    for kept, word in ((False, "goes"), (True, "kept")):
        yield from (f"{_INDENT * 2}WAL {word}: {line}" for line in _by_reason(forecast.wal, kept=kept))


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


def _calendar(cluster: ClusterRetention, days: int) -> Iterator[str]:
    going = [fate for forecast in cluster.repositories for fate in forecast.going()]
    if going:
        frees = size(total(fate.bytes for fate in going))
        yield f"{_INDENT}at the next expiry: {plural(len(going), 'backup')} go, which frees {frees} beside the WAL"
    if not cluster.calendar:
        yield f"{_INDENT}by time alone nothing goes in the next {plural(days, 'day')}"
    for day in cluster.calendar:
        ids = harmless(", ".join(day.backups))
        yield f"{_INDENT}{moment(day.at)}: {ids} of {day.repository or '?'} ({size(day.bytes)})"


def _difference(forecast: Forecast, difference: Difference) -> Iterator[str]:
    yield _INDENT * 2 + harmless(f"{forecast.repository or 'repository'}: {forecast.policy or 'nothing expires'}")
    changes = (
        ("would stay instead of going", difference.kept_instead),
        ("would go instead of staying", difference.gone_instead),
    )
    for words, ids in changes:
        if ids:
            yield _INDENT * 3 + harmless(f"{words}: {', '.join(ids)}")
    if not difference.kept_instead and not difference.gone_instead:
        yield f"{_INDENT * 3}the same backups stay"
    segments = difference.wal_segments_kept
    if segments:
        yield f"{_INDENT * 3}{plural(abs(segments), 'WAL segment')} {'more' if segments > 0 else 'fewer'} stay"


RetentionPresenter: TypeAlias = Callable[[FleetRetention, Presentation], str]
FORMATS: Final[dict[str, RetentionPresenter]] = {
    "table": retention_table,
    "json": retention_json,
    "yaml": retention_yaml,
}
