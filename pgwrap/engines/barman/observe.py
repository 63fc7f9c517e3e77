"""Looking at Barman's servers: one diagnosis and one listing for all of them, then the index of each one's WAL. It
changes nothing: never `check`, `cron` or `archive-wal`, which may archive, switch WAL or start processes.

One bad server spoils `diagnose` for all (a backup.info of a newer Barman ends it, an unreachable host stalls it). Then
every server is asked by itself: `sync-info` needs no PostgreSQL and tells the whole backups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgwrap.domain.command import Command, Conversation, Failure, Outcome
from pgwrap.domain.facts import Finding, Observation
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.archive import seems_lost
from pgwrap.engines.barman.assembly import Heard, assembled
from pgwrap.engines.barman.catalog import Diagnosis, Listing, ServerReport
from pgwrap.engines.barman.envelope import console_messages
from pgwrap.engines.barman.failures import HOPELESS, read
from pgwrap.engines.barman.parse import parse_diagnosis, parse_listing
from pgwrap.engines.barman.together import Key, Question, commons
from pgwrap.engines.barman.xlogdb import index_path, suffices
from pgwrap.engines.port import ObserveRequest
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the questions to all servers at once brought, for one user."""

    run_as: str | None
    diagnosis: Diagnosis | Finding
    listing: Listing | Finding
    warnings: tuple[str, ...]
    hopeless: bool
    """Whether further commands would fail the same way."""

    @property
    def home(self) -> str | None:
        """Barman's home as it says itself."""
        return None if isinstance(self.diagnosis, Finding) else self.diagnosis.home

    def report(self, name: str) -> ServerReport | None:
        """One server's part of the diagnosis."""
        if isinstance(self.diagnosis, Finding):
            return None
        return next((server for server in self.diagnosis.servers if server.name == name), None)

    def lists(self, name: str) -> bool:
        """Whether the listing of all servers has this one whole; after an error the rest of it is cut off."""
        if isinstance(self.listing, Finding) or name not in self.listing.servers:
            return False
        return bool(self.listing.servers[name]) or not self.listing.messages.errors


def observe(request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
    """Two rounds of questions, whatever the number of servers; the questions of a round run side by side. A third one
    asks Barman itself for the WAL of servers whose index does not suffice, and looks again where WAL seems lost.
    What one process could not read of several servers is read of each by itself, between these rounds.
    """
    if not request.clusters:
        return ()
    users = tuple(dict.fromkeys(request.run_as.get(cluster.name) for cluster in request.clusters))
    first = yield tuple(command for user in users for command in _first_round(request, user))
    installations = {
        user: _installation(user, first[2 * index], first[2 * index + 1]) for index, user in enumerate(users)
    }
    answers = yield from _asked(request, dict(_second_round(request, installations)))
    answers |= yield from _asked(request, dict(_third_round(request, installations, answers)))
    return tuple(
        assembled(_heard(cluster, installations[request.run_as.get(cluster.name)], answers))
        for cluster in request.clusters
    )


def _asked(request: ObserveRequest, questions: Mapping[Key, Question]) -> Conversation[dict[Key, Outcome]]:
    joined = tuple(commons(request.instance, questions))
    apart = questions.keys() - {key for common in joined for key in common.instead_of}
    alone = {key: question.command for key, question in questions.items() if key in apart}
    if not questions:
        return {}
    outcomes = yield (*alone.values(), *(common.command for common in joined))
    answers = dict(zip(alone, outcomes, strict=False))
    for common, outcome in zip(joined, outcomes[len(alone) :], strict=True):
        answers |= common.answers(outcome)
    left = {key: question.command for key, question in questions.items() if key not in answers}
    if left:
        answers |= zip(left, (yield tuple(left.values())), strict=True)
    return answers


def _first_round(request: ObserveRequest, user: str | None) -> tuple[Command, Command]:
    return (
        commands.diagnose(request.instance, user, request.deadline),
        commands.list_backups(request.instance, "all", user, request.deadline),
    )


def _installation(user: str | None, diagnosed: Outcome, listed: Outcome) -> Installation:
    listing = read(listed, parse_listing)
    said = () if isinstance(listing, Finding) else listing.messages.warnings
    return Installation(
        run_as=user,
        diagnosis=read(diagnosed, parse_diagnosis),
        listing=listing,
        warnings=tuple(dict.fromkeys(said + console_messages(diagnosed.error_text()).warnings)),
        hopeless=diagnosed.failure in HOPELESS or (diagnosed.failure is listed.failure is Failure.TIMEOUT),
    )


def _second_round(
    request: ObserveRequest, installations: Mapping[str | None, Installation]
) -> Iterator[tuple[Key, Question]]:
    for user, installation in installations.items():
        home = installation.home or request.instance.home
        if home is not None and not installation.hopeless:
            overrides = commands.overrides(request.instance, home, user, request.deadline)
            yield ("overrides", user or ""), Question(command=overrides)
    for cluster in request.clusters:
        yield from _of_one(request, cluster, installations[request.run_as.get(cluster.name)])


def _of_one(request: ObserveRequest, cluster: Cluster, installation: Installation) -> Iterator[tuple[Key, Question]]:
    """What this server must be asked by itself: nothing when it is idle, more when the diagnosis failed."""
    name, user, deadline = cluster.engine_name, installation.run_as, request.deadline
    report = installation.report(name)
    if installation.hopeless or (isinstance(installation.diagnosis, Diagnosis) and not _worth_asking(report)):
        return
    index = index_path(report) if report is not None else None
    if index is not None:
        yield (
            ("index", cluster.name),
            Question(command=commands.wal_index(request.instance, index, user, deadline), path=index),
        )
    else:
        yield ("wal", cluster.name), Question(command=commands.wal_list(request.instance, name, user, deadline))
    if not installation.lists(name):
        yield ("listing", cluster.name), Question(command=commands.list_backups(request.instance, name, user, deadline))
    if report is None:
        return
    directory = report.settings.wals_directory
    if directory is not None and directory.startswith("/"):
        files = commands.wal_files(request.instance, directory, user, deadline)
        yield ("files", cluster.name), Question(command=files, path=directory)
    timeline = report.newest_timeline
    if timeline is not None and timeline > 1:
        yield (
            ("history", cluster.name),
            Question(command=commands.history(request.instance, name, timeline, user, deadline)),
        )


def _third_round(
    request: ObserveRequest, installations: Mapping[str | None, Installation], answers: Mapping[Key, Outcome]
) -> Iterator[tuple[Key, Question]]:
    for cluster in request.clusters:
        user, name = request.run_as.get(cluster.name), cluster.engine_name
        index, report = answers.get(("index", cluster.name)), installations[user].report(name)
        if index is None or report is None:
            continue
        files = answers.get(("files", cluster.name))
        if not suffices(index, files, report):
            yield (
                ("wal", cluster.name),
                Question(command=commands.wal_list(request.instance, name, user, request.deadline)),
            )
        elif seems_lost(index, files, report, cluster.postgres.wal_segment_size):
            yield from _second_look(request, cluster, report, user)


def _second_look(
    request: ObserveRequest, cluster: Cluster, report: ServerReport, user: str | None
) -> Iterator[tuple[Key, Question]]:
    index, directory = index_path(report), report.settings.wals_directory
    if index is not None and directory is not None:
        read = commands.wal_index(request.instance, index, user, request.deadline)
        found = commands.wal_files(request.instance, directory, user, request.deadline)
        yield ("index again", cluster.name), Question(command=read)
        yield ("files again", cluster.name), Question(command=found)


def _worth_asking(report: ServerReport | None) -> bool:
    """Barman answers nothing for an inactive or disabled server; one without WAL would get an empty xlog.db."""
    return (
        report is not None
        and report.settings.active
        and not report.settings.disabled
        and bool(report.backups or report.newest_wal)
    )


def _heard(cluster: Cluster, installation: Installation, answers: Mapping[Key, Outcome]) -> Heard:
    listing = installation.listing
    index, again = answers.get(("index", cluster.name)), answers.get(("index again", cluster.name))
    return Heard(
        cluster=cluster,
        diagnosis=installation.diagnosis,
        report=installation.report(cluster.engine_name),
        listing=listing if isinstance(listing, Finding) else listing.servers.get(cluster.engine_name),
        warnings=installation.warnings,
        overrides=answers.get(("overrides", installation.run_as or "")),
        wal=answers.get(("wal", cluster.name)),
        index=again or index,
        files=answers.get(("files again", cluster.name)) or answers.get(("files", cluster.name)),
        first_index=index if again is not None else None,
        history=answers.get(("history", cluster.name)),
        own_listing=answers.get(("listing", cluster.name)),
    )
