"""The conversation by which pgBackRest's catalog becomes observations. It runs nothing and changes nothing.

Three rounds, whatever the number of backups: version and `info`; `repo-ls` of the archives; the newest timeline's
history file. A stanza that the common `info` or `repo-ls` does not list is asked for by name in a round of its own.
Where `info` is asked for one stanza alone, its archives are listed beside it, and once more if they were so too early.
The stanza of a cluster's carried history is asked for in the same rounds.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import field
from typing import TypeAlias, TypeVar

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import Finding, FindingCode, Observation, Severity
from pgwrap.domain.model import Cluster
from pgwrap.domain.wal import Ancestry, Timeline
from pgwrap.engines.pgbackrest import commands
from pgwrap.engines.pgbackrest.catalog import CatalogReading, observation_from
from pgwrap.engines.pgbackrest.failures import trouble_in, unreadable
from pgwrap.engines.pgbackrest.history import as_before, history_of, is_history, with_histories, with_history
from pgwrap.engines.pgbackrest.info import RepositoryInfo, StanzaInfo, segments_in, stanzas_from
from pgwrap.engines.pgbackrest.listing import ArchiveListing, listings_by_stanza, listings_from
from pgwrap.engines.pgbackrest.output import version_from, warnings_in
from pgwrap.engines.pgbackrest.repository_states import repository_name
from pgwrap.engines.pgbackrest.sharing import repositories_are_shared
from pgwrap.engines.port import EngineVersion, ObserveRequest
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

Answer = TypeVar("Answer")
Round: TypeAlias = Generator[tuple[Command, ...], tuple[Outcome, ...], Answer]

INVALID = "[invalid]"
"""The stanza's name when no repository could be listed and none was asked for."""
_LISTABLE = frozenset({0, 2, 4, 5, 6})
SEGMENTS_WORTH_A_PROCESS = 250
"""For so many archived segments of each stanza one `repo-ls` of all is cheaper than one of each. To start pgBackRest
takes as long as to list some 600 files; but one process has one processor, and several share the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What `info` and `version` made known of one cluster."""

    version: EngineVersion | None = None
    stanza: StanzaInfo | None = None
    findings: tuple[Finding, ...] = ()
    told_with: tuple[StanzaInfo, ...] = ()
    """All stanzas of the common `info` that told this one; empty when it was asked for by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A repository of a cluster: where a listing belongs."""

    cluster: str
    key: int


_Asked: TypeAlias = tuple[_Place, Cluster]


@dataclass(slots=True)
class _Listed:
    """The listings and histories gathered so far; findings where one could not be had."""

    listings: dict[_Place, tuple[ArchiveListing, ...]] = field(default_factory=dict)
    histories: dict[tuple[_Place, str], Ancestry] = field(default_factory=dict)
    findings: dict[_Place, list[Finding]] = field(default_factory=dict)

    def report(self, place: _Place, finding: Finding) -> None:
        self.findings.setdefault(place, []).append(finding)


def observe(
    request: ObserveRequest, oldest: EngineVersion, newest: EngineVersion
) -> Conversation[tuple[Observation, ...]]:
    """Look at every cluster of the request; one Observation each, in its order. Never raises for what engines do."""
    listed = _Listed()
    whole = with_histories(request)
    answers = yield from _catalogs(whole, listed)
    yield from _listings(whole, answers, listed)
    yield from _histories(whole, listed)
    seen = {
        cluster.name: _observation(cluster, answers[cluster.name], listed, (oldest, newest))
        for cluster in whole.clusters
    }
    return tuple(_complete(cluster, seen, answers) for cluster in request.clusters)


def _complete(cluster: Cluster, seen: Mapping[str, Observation], answers: Mapping[str, _Answer]) -> Observation:
    """What was seen of the cluster, with what was carried over to it."""
    history = history_of(cluster)
    if history is None:
        return seen[cluster.name]
    return with_history(seen[cluster.name], seen[history.name], there=answers[history.name].stanza is not None)


def _observation(
    cluster: Cluster, answer: _Answer, listed: _Listed, known: tuple[EngineVersion, EngineVersion]
) -> Observation:
    keys = () if answer.stanza is None else tuple(repository.key for repository in answer.stanza.repositories)
    places = {key: _Place(cluster=cluster.name, key=key) for key in keys}
    gathered = tuple(finding for place in places.values() for finding in listed.findings.get(place, ()))
    reading = CatalogReading(
        stanza=as_before(answer.stanza) if is_history(cluster) else answer.stanza,
        version=None if answer.version is None else str(answer.version),
        listings={key: listed.listings[place] for key, place in places.items() if place in listed.listings},
        ancestries={
            (place.key, archive): ancestry
            for (place, archive), ancestry in listed.histories.items()
            if place.cluster == cluster.name
        },
        findings=(*answer.findings, *_version_notes(answer.version, *known), *gathered),
    )
    return observation_from(cluster, reading)


def _version_notes(version: EngineVersion | None, oldest: EngineVersion, newest: EngineVersion) -> tuple[Finding, ...]:
    if version is None or oldest <= version <= newest or version.numbers[:2] == newest.numbers[:2]:
        return ()
    newer = version > newest
    return (
        Finding(
            code=FindingCode.ENGINE_UNKNOWN_VERSION,
            severity=Severity.OK if newer else Severity.WARNING,
            message=f"pgBackRest {version} is {'newer' if newer else 'older'} than any version pgwrap is tested with"
            f" ({oldest} to {newest})",
        ),
    )


# Round 1: version and info


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One `info` process and the clusters it answers for; `stanza` None asks for all of them at once."""

    clusters: tuple[Cluster, ...]
    run_as: str | None
    stanza: str | None


def _catalogs(request: ObserveRequest, listed: _Listed) -> Round[dict[str, _Answer]]:
    questions = _questions(request)
    users = tuple(dict.fromkeys(question.run_as for question in questions))
    early = tuple(_early(questions))
    outcomes = yield (
        *(commands.version_command(request.instance, user, request.deadline) for user in users),
        *(_info(request, question) for question in questions),
        *(_list(request, *one) for one in early),
    )
    versions = dict(zip(users, outcomes[: len(users)], strict=True))
    answers = _answers(questions, outcomes[len(users) : len(outcomes) - len(early)], versions)
    for (place, cluster), outcome in zip(early, outcomes[len(outcomes) - len(early) :], strict=True):
        _take_early(listed, place, answers[cluster.name].stanza, outcome)
    absent = tuple(_alone(questions, answers))
    if absent:
        outcomes = yield tuple(_info(request, question) for question in absent)
        answers |= _answers(absent, outcomes, versions)
    return answers


def _questions(request: ObserveRequest) -> tuple[_Question, ...]:
    shared = repositories_are_shared(request.installation or request.clusters)
    by_user: dict[str | None, list[Cluster]] = {}
    for cluster in request.clusters:
        by_user.setdefault(request.run_as.get(cluster.name), []).append(cluster)
    questions: list[_Question] = []
    for user, clusters in by_user.items():
        if shared and sum(not is_history(cluster) for cluster in clusters) > 1:
            questions.append(_Question(clusters=tuple(clusters), run_as=user, stanza=None))
        else:
            questions.extend(_named(cluster, user) for cluster in clusters)
    return tuple(questions)


def _early(questions: Iterable[_Question]) -> Iterable[_Asked]:
    """The archives that can be listed without knowing what `info` says of the others."""
    for question in questions:
        if question.stanza is not None:
            for cluster in question.clusters:
                yield from ((_Place(cluster=cluster.name, key=key), cluster) for key, _ in cluster.keyed_repositories())


def _named(cluster: Cluster, run_as: str | None) -> _Question:
    return _Question(clusters=(cluster,), run_as=run_as, stanza=cluster.engine_name)


def _info(request: ObserveRequest, question: _Question) -> Command:
    return commands.info_command(request.instance, question.stanza, question.run_as, request.deadline)


def _alone(questions: Iterable[_Question], answers: Mapping[str, _Answer]) -> Iterable[_Question]:
    """Clusters that the common answer did not list; each is asked for by its name, unless nothing was carried yet."""
    for question in questions:
        for cluster in question.clusters:
            answer = answers[cluster.name]
            if is_history(cluster):
                continue
            if question.stanza is None and answer.stanza is None and not _failed(answer):
                yield _named(cluster, question.run_as)


def _failed(answer: _Answer) -> bool:
    return any(finding.severity is not Severity.WARNING for finding in answer.findings)


def _answers(
    questions: Iterable[_Question], outcomes: Iterable[Outcome], versions: Mapping[str | None, Outcome]
) -> dict[str, _Answer]:
    answers: dict[str, _Answer] = {}
    for question, outcome in zip(questions, outcomes, strict=True):
        version, doubt = _version(versions[question.run_as])
        stanzas, findings = _stanzas(outcome)
        by_name = {stanza.name: stanza for stanza in stanzas}
        for cluster in question.clusters:
            answers[cluster.name] = _Answer(
                version=version,
                stanza=by_name.get(cluster.engine_name, by_name.get(INVALID)),
                findings=findings if not stanzas and findings else (*doubt, *findings),
                told_with=stanzas if question.stanza is None else (),
            )
    return answers


def _version(outcome: Outcome) -> tuple[EngineVersion | None, tuple[Finding, ...]]:
    trouble = trouble_in(outcome)
    if trouble is not None:
        return None, (trouble,)
    try:
        return version_from(outcome.text()), ()
    except OutputNotUnderstood as error:
        return None, (unreadable(error, outcome.command),)


def _stanzas(outcome: Outcome) -> tuple[tuple[StanzaInfo, ...], tuple[Finding, ...]]:
    trouble = trouble_in(outcome)
    if trouble is not None:
        return (), (trouble,)
    try:
        return stanzas_from(outcome.stdout), _configuration_warnings(outcome)
    except OutputNotUnderstood as error:
        return (), (unreadable(error, outcome.command),)


def _configuration_warnings(outcome: Outcome) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code=FindingCode.CONFIG_WARNING,
            severity=Severity.WARNING,
            message=f"pgBackRest warns: {' '.join(text.split())}",
            hint="pgBackRest ignores what it does not know: correct the option in the spec, then render again",
        )
        for text in warnings_in(outcome)
    )


# Round 2: what WAL is there


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """One `repo-ls` process for a repository in which several clusters have their stanzas."""

    key: int
    run_as: str | None
    asked: tuple[_Asked, ...]


def _listings(request: ObserveRequest, answers: Mapping[str, _Answer], listed: _Listed) -> Round[None]:
    asked = tuple(
        (_Place(cluster=cluster.name, key=repository.key), cluster)
        for cluster in request.clusters
        for repository in _readable(answers[cluster.name].stanza)
        if _Place(cluster=cluster.name, key=repository.key) not in listed.listings
    )
    if not asked:
        return
    commons = tuple(_commons(request, answers, asked))
    joined = {place for common in commons for place, _ in common.asked}
    alone = tuple((place, cluster) for place, cluster in asked if place not in joined)
    outcomes = yield (*(_list_all(request, common) for common in commons), *(_list(request, *one) for one in alone))
    for common, outcome in zip(commons, outcomes[: len(commons)], strict=True):
        _take_common(listed, common, outcome)
    for one, outcome in zip(alone, outcomes[len(commons) :], strict=True):
        _take_listing(listed, *one, outcome)
    missing = tuple((place, cluster) for place, cluster in asked if place in joined - listed.listings.keys())
    if missing:
        outcomes = yield tuple(_list(request, *one) for one in missing)
        for one, outcome in zip(missing, outcomes, strict=True):
            _take_listing(listed, *one, outcome)


def _commons(request: ObserveRequest, answers: Mapping[str, _Answer], asked: tuple[_Asked, ...]) -> Iterable[_Common]:
    """The repositories that are listed whole: those of a common `info`, where that is the cheaper way."""
    grouped: dict[tuple[int, str | None], list[_Asked]] = {}
    for place, cluster in asked:
        if answers[cluster.name].told_with:
            grouped.setdefault((place.key, request.run_as.get(cluster.name)), []).append((place, cluster))
    for (key, user), members in grouped.items():
        stanzas = answers[members[0][1].name].told_with
        segments = sum(segments_in(stanza, key) for stanza in stanzas)
        if len(members) > 1 and segments <= SEGMENTS_WORTH_A_PROCESS * len(members):
            yield _Common(key=key, run_as=user, asked=tuple(members))


def _list_all(request: ObserveRequest, common: _Common) -> Command:
    return commands.common_listing_command(request.instance, common.key, common.run_as, request.deadline)


def _list(request: ObserveRequest, place: _Place, cluster: Cluster) -> Command:
    user = request.run_as.get(cluster.name)
    return commands.archive_listing_command(cluster, place.key, user, request.deadline)


def _take_common(listed: _Listed, common: _Common, outcome: Outcome) -> None:
    """What it lists; one directory that may not be read ends it, and then each stanza says for itself what is wrong."""
    try:
        by_stanza = listings_by_stanza(outcome.stdout) if outcome.succeeded else {}
    except OutputNotUnderstood:
        return
    for place, cluster in common.asked:
        if cluster.engine_name in by_stanza:
            listed.listings[place] = by_stanza[cluster.engine_name]


def _take_early(listed: _Listed, place: _Place, stanza: StanzaInfo | None, outcome: Outcome) -> None:
    """What it lists, if `info` did not see a newer backup than it: the WAL of that one must not seem to be lost."""
    if place.key not in {repository.key for repository in _readable(stanza)} or not outcome.succeeded:
        return
    try:
        listings = listings_from(outcome.stdout)
    except OutputNotUnderstood:
        return
    backups = () if stanza is None else (one for one in stanza.backups if one.repository_key == place.key)
    newest = max(backups, key=lambda backup: backup.stopped_at, default=None)
    if newest is None or newest.wal_stop is None or any(newest.wal_stop in one.segments for one in listings):
        listed.listings[place] = listings


def _readable(stanza: StanzaInfo | None) -> tuple[RepositoryInfo, ...]:
    if stanza is None:
        return ()
    return tuple(repository for repository in stanza.repositories if repository.code in _LISTABLE)


def _take_listing(listed: _Listed, place: _Place, cluster: Cluster, outcome: Outcome) -> None:
    trouble = trouble_in(outcome)
    try:
        if trouble is None:
            listed.listings[place] = listings_from(outcome.stdout)
            return
    except OutputNotUnderstood as error:
        trouble = unreadable(error, outcome.command)
    listed.report(
        place,
        Finding(
            code=FindingCode.WAL_UNKNOWN,
            severity=Severity.UNKNOWN,
            message=f"the archived WAL could not be listed: {trouble.message}",
            hint=trouble.hint,
            repository=repository_name(cluster, place.key),
        ),
    )


# Round 3: where timelines were left


def _histories(request: ObserveRequest, listed: _Listed) -> Round[None]:
    asked = tuple(_with_histories(request, listed))
    if not asked:
        return
    outcomes = yield tuple(
        commands.history_command(
            cluster,
            place.key,
            f"{listing.archive}/{timeline:08X}.history",
            request.run_as.get(cluster.name),
            request.deadline,
        )
        for place, cluster, listing, timeline in asked
    )
    for (place, cluster, listing, timeline), outcome in zip(asked, outcomes, strict=True):
        try:
            listed.histories[place, listing.archive] = _ancestry(timeline, outcome)
        except OutputNotUnderstood as error:
            listed.report(place, _history_unknown(cluster, place, timeline, error))


def _with_histories(
    request: ObserveRequest, listed: _Listed
) -> Iterable[tuple[_Place, Cluster, ArchiveListing, Timeline]]:
    clusters = {cluster.name: cluster for cluster in request.clusters}
    for place, listings in listed.listings.items():
        for listing in listings:
            timeline = listing.newest_history()
            if timeline is not None:
                yield place, clusters[place.cluster], listing, timeline


def _ancestry(timeline: Timeline, outcome: Outcome) -> Ancestry:
    trouble = trouble_in(outcome)
    if trouble is not None:
        raise OutputNotUnderstood(trouble.message, hint=trouble.hint)
    try:
        return Ancestry.parse(timeline, outcome.text())
    except ValueError as error:
        raise OutputNotUnderstood(str(error)) from error


def _history_unknown(cluster: Cluster, place: _Place, timeline: Timeline, error: OutputNotUnderstood) -> Finding:
    return Finding(
        code=FindingCode.WAL_UNKNOWN,
        severity=Severity.UNKNOWN,
        message=f"the history of timeline {timeline} could not be read: {error.message}",
        hint=error.hint,
        repository=repository_name(cluster, place.key),
    )
