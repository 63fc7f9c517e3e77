"""What `info` says of the repositories themselves, and where it differs from the spec. It looks at no backup.

Source of the codes: pgBackRest's src/command/info/info.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgwrap.domain.facts import Finding, FindingCode, RepositoryState, Severity
from pgwrap.domain.model import Cluster
from pgwrap.engines.pgbackrest.info import RepositoryInfo, StanzaInfo

_OK, _MISSING_STANZA, _NO_BACKUP, _MISSING_DATA, _MISMATCH, _OTHER = 0, 1, 2, 3, 5, 99
_STATE_SEVERITY = {
    _OK: Severity.OK,
    _MISSING_STANZA: Severity.CRITICAL,
    _NO_BACKUP: Severity.WARNING,
    _MISSING_DATA: Severity.CRITICAL,
}
_CREATE_HINT = "run `pgbackrest stanza-create` for it, and look whether the repository is mounted and the right one"


def repository_name(cluster: Cluster, key: int) -> str:
    """The spec's name of repository `key`, `repoN` where the spec does not know it."""
    return {number: repository.name for number, repository in cluster.keyed_repositories()}.get(key, f"repo{key}")


def was_read(repository: RepositoryInfo) -> bool:
    """Whether it could be looked into, whatever was found there."""
    return repository.code != _OTHER


def repository_state(cluster: Cluster, repository: RepositoryInfo) -> RepositoryState:
    """The repository as the status shows it."""
    known = dict(cluster.keyed_repositories()).get(repository.key)
    return RepositoryState(
        name=repository_name(cluster, repository.key),
        key=repository.key,
        kind="unknown" if known is None else known.type,
        encryption=repository.cipher,
        severity=_STATE_SEVERITY.get(repository.code, Severity.UNKNOWN),
        message="" if repository.code == _OK else _plain(repository.message),
    )


def _plain(text: str) -> str:
    """One short line, cut where the engine quotes the raw bytes of a file it could not read."""
    lines = " ".join(text.split("\n"))
    cut = next((at for at, character in enumerate(lines) if not _is_readable(character)), None)
    return " ".join(lines[:cut].split())[:600] + ("" if cut is None else " …")


def _is_readable(character: str) -> bool:
    return character.isprintable() and character != "\ufffd"


def repository_findings(cluster: Cluster, stanza: StanzaInfo, names: Mapping[int, str]) -> tuple[Finding, ...]:
    """What is wrong with each, between them, and between them and the spec; `names` are by repository number."""
    return (
        *(
            finding
            for repository in stanza.repositories
            if (finding := _repository_finding(cluster, repository, names)) is not None
        ),
        *_mismatches(cluster, stanza, names),
        *_encryption(cluster, stanza, names),
    )


def _repository_finding(cluster: Cluster, repository: RepositoryInfo, names: Mapping[int, str]) -> Finding | None:
    name = names[repository.key]
    if repository.code in {_OK, _NO_BACKUP}:
        return None
    if repository.code == _MISSING_STANZA:
        return Finding(
            code=FindingCode.STANZA_MISSING,
            severity=Severity.CRITICAL,
            message=f"repository {name} has no stanza {cluster.engine_name}",
            hint=_CREATE_HINT,
            repository=name,
        )
    return Finding(
        code=FindingCode.REPOSITORY_ERROR,
        severity=_STATE_SEVERITY.get(repository.code, Severity.UNKNOWN),
        message=f"repository {name} could not be read: {_plain(repository.message)}",
        hint="check that it is reachable, who owns it, and its passphrase",
        repository=name,
    )


def _mismatches(cluster: Cluster, stanza: StanzaInfo, names: Mapping[int, str]) -> tuple[Finding, ...]:
    found: list[Finding] = []
    if stanza.code == _MISMATCH:
        found.append(
            _mismatch(
                Severity.CRITICAL,
                "the repositories disagree on the PostgreSQL version or system identifier: an upgrade was half done",
                "run `pgbackrest stanza-upgrade` while PostgreSQL runs",
            )
        )
    desired = {key for key, _ in cluster.keyed_repositories()}
    hint = "render the configuration again, or correct the spec"
    for key in sorted(desired - names.keys()):
        name = repository_name(cluster, key)
        message = f"the engine's configuration has no repository {key}, which the spec calls {name}"
        found.append(_mismatch(Severity.CRITICAL, message, hint, name))
    for key in sorted(names.keys() - desired if desired else ()):
        message = f"the engine's configuration has a repository {key} that the spec does not name"
        found.append(_mismatch(Severity.WARNING, message, hint, names[key]))
    return tuple(found)


def _mismatch(severity: Severity, message: str, hint: str, repository: str | None = None) -> Finding:
    return Finding(
        code=FindingCode.REPOSITORY_MISMATCH, severity=severity, message=message, hint=hint, repository=repository
    )


def _encryption(cluster: Cluster, stanza: StanzaInfo, names: Mapping[int, str]) -> tuple[Finding, ...]:
    """`mixed` is a note where the spec asks for just that, else a warning."""
    ciphers = {repository.key: repository.cipher for repository in stanza.repositories}
    if len(set(ciphers.values())) < 2:
        return ()
    asked = {
        key: "none" if repository.encryption is None else repository.encryption.cipher
        for key, repository in cluster.keyed_repositories()
    }
    plain = ", ".join(names[key] for key, cipher in sorted(ciphers.items()) if cipher == "none")
    return (
        Finding(
            code=FindingCode.ENCRYPTION_MIXED,
            severity=Severity.OK if asked == ciphers else Severity.WARNING,
            message=f"some repositories are encrypted and others are not: {plain or 'their ciphers differ'}",
            hint="encrypt every repository, or none, unless that is meant",
        ),
    )
