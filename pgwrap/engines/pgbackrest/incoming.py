"""The stanza that holds what was carried over: its commands, and what it holds. Nothing runs here.

It stands in no configuration file. What its cluster says in its own section of that file (repositories of its own, how
files are compressed) goes along in the environment, where an option that a command does not take is passed over
(src/config/parse.c) and no secret shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.model import Cluster, RemoteHost, Secret
from pgwrap.engines.history_port import CarriedSet, ConsistentCopy, Departure, Holdings, Side
from pgwrap.engines.pgbackrest.carried import annotations_for, provenance
from pgwrap.engines.pgbackrest.commands import QUIET, configuration_arguments
from pgwrap.engines.pgbackrest.document import effective_settings, own_settings
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.info import BackupInfo, StanzaInfo, stanzas_from
from pgwrap.engines.pgbackrest.output import new_label
from pgwrap.engines.pgbackrest.repository import KEEP_ALL, remote_settings
from pgwrap.engines.pgbackrest.repository_side import ON_EITHER_SIDE, place_for, remote_hosts, repository_host
from pgwrap.engines.pgbackrest.settings import Setting
from pgwrap.engines.port import CopyRequest, EngineVersion, RenderRequest
from pgwrap.errors import EngineUnsupported, OutputNotUnderstood
from pgwrap.records import dataclass
from pgwrap.text.json_fields import Fields, WrongField, fields_of

_ALONG: Final = ("repo", "compress-", "process-max", "buffer-size", "io-timeout", "sck-")
"""How the options begin that the carried stanza shares with its cluster."""
_NOT_ALONG: Final = re.compile(r"repo\d+-retention-.*")
_FILE: Final = re.compile(
    r"(?P<archive>[0-9.]+-[0-9]+)/(?:[0-9A-F]{16}/)?"
    r"(?P<name>[0-9A-F]{24}(?:\.partial)?(?=-)|[0-9A-F]{24}\.[0-9A-F]{8}\.backup|[0-9A-F]{8}\.history)"
    r"(?:-[0-9a-f]{40}(?:\.[a-z0-9]+)?)?"
)
_PACKED: Final = ("compress-", "process-max")
"""Of those, what the repository's host does not know by itself."""
_SPEAK: Final = ("--log-level-console=warn", "--log-level-stderr=off", "--log-level-file=off")
"""A carried segment is a process: none of thousands opens a log file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """How the carried stanza of a cluster is spoken of; `key` is the repository that its backups go to."""

    cluster: Cluster
    name: str
    key: int
    side: Side
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    """Of the cluster's own section, secrets resolved."""
    here: RemoteHost | None = None
    """This host as the repository's reaches it, where that one alone may take backups (before 2.55)."""

    @property
    def one_at_a_time(self) -> bool:
        """On the repository's host the process that receives holds the stanza's archive lock ([050] for another)."""
        return bool(remote_hosts(self.cluster))

    def command(self, verb: str, *words: str, deadline: float = 600.0) -> Command:
        """The command `verb` of the carried stanza; what is no option comes last among its words."""
        instance = self.cluster.engine
        options = tuple(word for word in words if word.startswith("-"))
        return Command(
            argv=(
                *(instance.command, *configuration_arguments(instance), f"--stanza={self.name}", *options, verb),
                *(word for word in words if not word.startswith("-")),
            ),
            run_as=self.side.run_as,
            host=instance.host,
            environment=tuple(_environment(self.settings, verb)),
            deadline=deadline,
        )

    def create(self, data: str) -> Command:
        """Make the stanza, in every repository, from the control file of a restored copy; nothing where it is there."""
        return self.command(
            "stanza-create",
            *("--no-online", f"--pg1-path={data}", "--log-level-console=warn", "--log-level-stderr=off"),
        )

    def take(self, copy: ConsistentCopy, deadline: float) -> Command:
        """Take the copy as a backup; nothing expires.

        Nothing of an interrupted one is gone on with: the copy that it was made from was another one.
        """
        options = (
            *("--no-online", f"--repo={self.key}", f"--type={copy.kind}"),
            *(("--delta",) if copy.kind == "incr" else ()),
            *(("--checksum-page",) if copy.checksums else ()),
            *("--no-resume", "--no-expire-auto"),
            *(f"--repo{self.key}-retention-full-type=count", f"--repo{self.key}-retention-full={KEEP_ALL}"),
            *(f"--annotation={key}={value}" for key, value in copy.annotations),
            *("--log-level-console=detail", "--log-level-stderr=off"),
        )
        command = self._backup(copy.data, options, deadline)
        return replace(command, environment=(*command.environment, *copy.environment))

    def _backup(self, data: str, options: tuple[str, ...], deadline: float) -> Command:
        """`backup` of a copy on this host, run here or by the repository's host, which then fetches it."""
        if self.here is None:
            return self.command("backup", f"--pg1-path={data}", *options, deadline=deadline)
        place = place_for(self.cluster, self.key, self.side.version, self.side.run_as)
        way = remote_settings("pg1-host", self.here, self.here.config or self.cluster.engine.config, ())
        pulling = (f"--{setting.key}={setting.values[0]}" for setting in way)
        packed = (one for one in self.settings if one.key.startswith(_PACKED))
        return Command(
            argv=(*place.program, f"--stanza={self.name}", f"--pg1-path={data}", *pulling, *options, "backup"),
            run_as=place.run_as,
            host=place.host,
            environment=tuple(_environment(packed, "backup")),
            deadline=deadline,
        )

    def push(self, path: str) -> Command:
        """Archive the file at `path`, which bears its WAL file's name, in every repository; it ends when it is there.

        Nothing is queued, and nothing dropped where the configuration lets a queue overflow.
        """
        return self.command("archive-push", "--no-archive-async", "--reset-archive-push-queue-max", *_SPEAK, path)

    def info(self) -> Command:
        """Ask what the stanza holds."""
        return self.command("info", *QUIET, f"--repo={self.key}", "--output=json")

    def listing(self) -> Command:
        """List every archived file of the stanza."""
        words = (f"--repo={self.key}", *QUIET, "--output=json", "--recurse")
        return self.command("repo-ls", *words, f"archive/{self.name}")

    def check(self, outcome: Outcome) -> None:
        """See failures.py."""
        raise_for(outcome, self.cluster.name)

    def taken(self, outcome: Outcome) -> str:
        """From `new backup label = L`."""
        self.check(outcome)
        label = new_label(outcome.text())
        if label is None:
            raise OutputNotUnderstood("pgBackRest ended without naming the new backup", cluster=self.cluster.name)
        return label

    def holdings(self, source: Cluster, system_identifier: str | None) -> Conversation[Holdings]:
        """Of `info` and `repo-ls`."""
        return holdings(self, source, system_identifier)

    def astray(self) -> Conversation[str | None]:
        """Of `repo-ls` below the carried stanza's name; here both are in one file, and nothing is asked."""
        return astray(self)

    def annotations(self, request: CopyRequest, departure: Departure) -> tuple[tuple[str, str], ...]:
        """See carried.py."""
        return annotations_for(request.backup, departure.tablespaces)

    def thinning(self) -> tuple[str, ...]:
        """`repoN-retention-archive` below `repoN-retention-full`, or counted by other backups than full ones."""
        settings = effective_settings(self.cluster, self.side.installation, self.side.version, "expire")
        return tuple(_thinning(self.key, settings))


def incoming(cluster: Cluster, side: Side) -> Incoming:
    """The carried stanza of a cluster; EngineUnsupported where it cannot be taken to from here."""
    if cluster.history is None:
        message = f"{cluster.name} names no stanza for what is carried over"
        raise EngineUnsupported(message, hint=f"add `history: {cluster.engine_name}-history`", cluster=cluster.name)
    keyed = sorted(cluster.keyed_repositories(), key=lambda pair: pair[0])
    if not keyed:
        raise EngineUnsupported("the spec names no repository to carry to", cluster=cluster.name)
    return Incoming(
        cluster=cluster,
        name=cluster.history,
        key=keyed[0][0],
        side=side,
        settings=tuple(_resolved(cluster, side)),
        here=_here(cluster, keyed[0][0], side.version),
    )


def _here(cluster: Cluster, key: int, version: EngineVersion) -> RemoteHost | None:
    """This host as the repository's host reaches it; None where a backup can be taken from here.

    EngineUnsupported where the spec does not say it, or that host cannot be had to fetch.
    """
    hosts = remote_hosts(cluster)
    if not hosts or version >= ON_EITHER_SIDE:
        return None
    (_, repository) = next(pair for pair in cluster.keyed_repositories() if pair[0] == key)
    alone = repository_host(cluster, key, version) is not None and len(cluster.repositories) == 1
    if alone and repository.pulls_from is not None:
        return repository.pulls_from
    missing = f"say `pulls_from: USER@THIS_HOST` in repository {repository.name}"
    raise EngineUnsupported(
        f"pgBackRest {version} takes backups on the repository's host alone: {next(iter(hosts.values())).address}",
        hint=f"{missing if alone else 'name one repository alone, reached by ssh'}, "
        "or have pgBackRest 2.55 or later on both hosts",
        cluster=cluster.name,
    )


def _resolved(cluster: Cluster, side: Side) -> Iterator[Setting]:
    """What goes along; secrets are looked up only now, for those of other sections are nobody's business here."""
    references: dict[str, Secret] = {}

    def keep(secret: Secret) -> str:
        placeholder = f"secret {len(references)}"
        references[placeholder] = secret
        return placeholder

    request = RenderRequest(
        instance=cluster.engine, clusters=side.installation, version=side.version, secret=keep, spec_file=""
    )
    for setting in own_settings(cluster, request):
        if not setting.key.startswith(_ALONG) or _NOT_ALONG.fullmatch(setting.key) or len(setting.values) != 1:
            continue
        secret = references.get(setting.values[0]) if setting.secret else None
        yield setting if secret is None else replace(setting, values=(side.secret(secret),))


def _environment(settings: Iterable[Setting], command: str) -> Iterator[tuple[str, str]]:
    """`PGBACKREST_REPO1_PATH=…`; what is said for one command wins over what is said for all."""
    chosen: dict[str, str] = {}
    for setting in sorted(settings, key=lambda one: one.command is not None):
        if setting.command in (None, command):
            chosen[setting.key] = setting.values[0]
    for key, value in chosen.items():
        yield f"PGBACKREST_{key.upper().replace('-', '_')}", value


def _thinning(key: int, settings: Mapping[str, str]) -> Iterator[str]:
    archive, full = settings.get(f"repo{key}-retention-archive"), settings.get(f"repo{key}-retention-full", "")
    if archive is None:
        return
    counted = settings.get(f"repo{key}-retention-archive-type", "full")
    if counted != "full":
        yield f"repo{key}-retention-archive-type={counted} keeps WAL for the newest {counted} backups alone"
    elif settings.get(f"repo{key}-retention-full-type") == "time" or not full or _number(archive) < _number(full):
        yield f"repo{key}-retention-archive={archive} keeps WAL for fewer backups than are kept"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def holdings(
    stanza: Incoming, source: Cluster, system_identifier: str | None
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], Holdings]:
    """Ask what the carried stanza holds; raises what the engine's failures raise."""
    informed, listed = yield (stanza.info(), stanza.listing())
    for outcome in (informed, listed):
        stanza.check(outcome)
    found = next((one for one in stanzas_from(informed.stdout) if one.name == stanza.name), None)
    if found is None:
        return Holdings()
    sets = (_carried(backup, source.engine_name) for backup in sorted(found.backups, key=lambda one: one.label))
    return Holdings(
        sets=tuple(one for one in sets if one is not None),
        systems=tuple(one.system_identifier for one in sorted(found.databases, key=lambda one: one.id)),
        files=files_in(listed.text(), archive_of(found, system_identifier)),
    )


def astray(stanza: Incoming) -> Generator[tuple[Command, ...], tuple[Outcome, ...], str | None]:
    """Another host may know the repository only in its own stanza's section: for every other name it takes its default
    directory, and no encryption."""
    host = remote_hosts(stanza.cluster).get(stanza.key)
    if host is None:
        return None
    own = stanza.cluster.engine_name
    words = (f"--repo={stanza.key}", *QUIET, "--output=json", "archive")
    outcomes = yield tuple(replace(stanza, name=name).command("repo-ls", *words) for name in (own, stanza.name))
    for outcome in outcomes:
        stanza.check(outcome)
    there, beside = (own in _listing(outcome.text()).values for outcome in outcomes)
    if beside or not there:
        return None
    return (
        f"on {host.address} the stanza {stanza.name} would lie in another repository than {own}: "
        f"say repo{stanza.key}-path, and how it is encrypted, in [global] there"
    )


def _listing(text: str) -> Fields:
    """What `repo-ls` printed, behind what it may have warned of; raises OutputNotUnderstood."""
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    try:
        return fields_of(json.JSONDecoder(strict=False).raw_decode(text, start)[0], "the listing")
    except (ValueError, RecursionError, WrongField) as error:
        raise OutputNotUnderstood(f"the answer of `repo-ls` cannot be read: {error}") from error


def _carried(backup: BackupInfo, server: str) -> CarriedSet | None:
    """A set that came from this server of Barman's, else None."""
    origin = provenance(backup.annotations)
    if origin is None or origin.id is None or (origin.engine, origin.server) != ("barman", server):
        return None
    return CarriedSet(
        id=backup.label,
        origin=origin.id,
        timeline=origin.timeline,
        annotations=backup.annotations,
        stored_bytes=backup.repository_delta,
        page_errors=backup.page_errors is True,
    )


def archive_of(stanza: StanzaInfo, system_identifier: str | None) -> str | None:
    """The archive that WAL of this system goes to now: that of the newest entry of the stanza's history."""
    newest = max(stanza.databases, key=lambda one: one.id, default=None)
    if newest is None or system_identifier not in (None, newest.system_identifier):
        return None
    return f"{newest.version}-{newest.id}"


def files_in(text: str, archive: str | None) -> dict[str, int]:
    """The WAL files of one archive by name, segments and what lies beside them, each with its size as stored."""
    listed = _listing(text)
    try:
        found = ((_FILE.fullmatch(path), path) for path in listed.values)
        return {
            match["name"]: listed.child(path).optional_integer("size") or 0
            for match, path in found
            if match is not None and match["archive"] == archive
        }
    except WrongField as error:
        raise OutputNotUnderstood(f"the answer of `repo-ls` cannot be read: {error}") from error
