"""One repository's options as its words: where it is, how it is opened, what is kept in it. It reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgwrap.domain.model import Path
from pgwrap.engines.pgbackrest import adopt_values as to
from pgwrap.engines.pgbackrest.adopt_cluster import Word, remote_words
from pgwrap.engines.pgbackrest.adopt_values import Convert
from pgwrap.engines.pgbackrest.layers import Given
from pgwrap.engines.pgbackrest.repository import CREDENTIALS, DEFAULT_CONFIG
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

DEFAULT_PATH = "/var/lib/pgbackrest"
_KEY_CHECK_TYPE = EngineVersion.parse("2.48")
_NEEDS_PATH = frozenset({"posix", "cifs", "sftp"})
_STYLES = to.choice({"host": "host", "path": "path"})
_CLOUD: Mapping[str, tuple[Path, Convert]] = {
    "storage-verify-tls": (("verify_tls",), to.flag),
    "storage-port": (("port",), to.number(1, 65535)),
    "storage-ca-file": (("ca_file",), to.path),
}
_STORES: Mapping[str, Mapping[str, tuple[Path, Convert]]] = {
    "s3": {
        **_CLOUD,
        "s3-bucket": (("bucket",), to.text),
        "s3-endpoint": (("endpoint",), to.text),
        "s3-region": (("region",), to.text),
        "s3-key-type": (("key_type",), to.text),
        "s3-uri-style": (("uri_style",), _STYLES),
    },
    "gcs": {
        **_CLOUD,
        "gcs-bucket": (("bucket",), to.text),
        "gcs-endpoint": (("endpoint",), to.text),
        "gcs-key-type": (("key_type",), to.text),
    },
    "azure": {
        **_CLOUD,
        "azure-container": (("container",), to.text),
        "azure-account": (("account",), to.text),
        "azure-endpoint": (("endpoint",), to.text),
        "azure-key-type": (("key_type",), to.text),
        "azure-uri-style": (("uri_style",), _STYLES),
    },
    "sftp": {
        "sftp-host": (("sftp_host",), to.host),
        "sftp-host-user": (("sftp_user",), to.account),
        "sftp-host-port": (("sftp_port",), to.number(1, 65535)),
        "sftp-private-key-file": (("private_key_file",), to.path),
        "sftp-public-key-file": (("public_key_file",), to.path),
        "sftp-host-key-hash-type": (("host_key_hash",), to.choice({"md5": "md5", "sha1": "sha1", "sha256": "sha256"})),
        "sftp-host-fingerprint": (("host_fingerprint",), to.text),
    },
}
_RETENTION: Mapping[str, tuple[Path, Convert]] = {
    "retention-diff": (("differential",), to.number(1, 9_999_999)),
    "retention-archive": (("wal",), to.number(1, 9_999_999)),
    "retention-history": (("history",), to.days(0)),
}
_WAL_TYPES = {"full": "full", "diff": "differential", "incr": "incremental"}


@dataclass(frozen=True, slots=True)
class RepositoryDraft:
    """The words of one repository, its secrets apart, and what has no word."""

    words: tuple[Word, ...]
    retention: tuple[Word, ...]
    secrets: tuple[Word, ...]
    rest: tuple[Given, ...]
    remote: bool


def draft(own: Mapping[str, Given], plain: frozenset[str], version: EngineVersion) -> RepositoryDraft:
    """The repository that `own` describes, its options by their names without `repo-`."""
    usable = {name: given for name, given in own.items() if given.name not in plain}
    host = tuple(remote_words("repo", {f"repo-{name}": given for name, given in usable.items()}))
    retention = tuple(retention_words(usable))
    store = _remote(own, host) if host else _store(usable, version)
    words = (*store, *_bundling(usable))
    secrets = () if host else tuple(_secrets(usable))
    used = {id(source) for word in (*words, *retention, *secrets) for source in word.sources}
    rest = tuple(given for given in own.values() if id(given) not in used)
    return RepositoryDraft(words, retention, secrets, rest, bool(host))


def _remote(own: Mapping[str, Given], host: tuple[Word, ...]) -> Iterator[Word]:
    """On another host: what its own file says of the store is not written here, save that the spec wants a path."""
    path = own.get("path")
    yield Word(("path",), path.values[0] if path is not None and to.path(path.values) else DEFAULT_PATH)
    yield from (Word(("host", *word.path), word.value, word.sources) for word in host)
    if not any(word.path == ("config",) for word in host):
        yield Word(("host", "config"), DEFAULT_CONFIG)


def _store(own: Mapping[str, Given], version: EngineVersion) -> Iterator[Word]:
    kind = own["type"].values[0] if "type" in own else "posix"
    if "type" in own:
        yield Word(("type",), kind, (own["type"],))
    path = own.get("path")
    if path is not None and to.path(path.values) is not None:
        yield Word(("path",), path.values[0], (path,))
    elif kind in _NEEDS_PATH:
        yield Word(("path",), DEFAULT_PATH)
    if _is_encrypted(own):
        yield Word(("encryption", "cipher"), "aes-256-cbc", (own["cipher-type"],))
    for name, (where, convert) in _STORES.get(kind, {}).items():
        given = own.get(name)
        if given is not None and (value := convert(given.values)) is not None:
            yield Word(where, value, (given, *_check_type(own, name, version)))


def _check_type(own: Mapping[str, Given], name: str, version: EngineVersion) -> tuple[Given, ...]:
    """A fingerprint's word says how the host is checked, too."""
    check = own.get("sftp-host-key-check-type")
    says = check is not None and check.values == ("fingerprint",) and version >= _KEY_CHECK_TYPE
    return (check,) if name == "sftp-host-fingerprint" and says and check is not None else ()


def _secrets(own: Mapping[str, Given]) -> Iterator[Word]:
    kind = own["type"].values[0] if "type" in own else "posix"
    for credential, name in CREDENTIALS.get(kind, {}).items():
        given = own.get(name)
        if given is None or to.text(given.values) is None:
            continue
        key_type = own.get("gcs-key-type")
        if name == "gcs-key" and (key_type is None or key_type.values != ("token",)) and to.path(given.values):
            yield Word(("credentials", credential), {"file": given.values[0]}, (given,))
        else:
            yield Word(("credentials", credential), given.values[0], (given,))
    if _is_encrypted(own):
        yield Word(("encryption", "passphrase"), own["cipher-pass"].values[0], (own["cipher-pass"],))


def _is_encrypted(own: Mapping[str, Given]) -> bool:
    cipher, passphrase = own.get("cipher-type"), own.get("cipher-pass")
    return (
        cipher is not None
        and cipher.values == ("aes-256-cbc",)
        and passphrase is not None
        and to.text(passphrase.values) is not None
    )


def _bundling(own: Mapping[str, Given]) -> Iterator[Word]:
    bundle, block = own.get("bundle"), own.get("block")
    if bundle is not None:
        yield Word(("bundle",), to.flag(bundle.values), (bundle,))
        if block is not None and bundle.values == ("y",):
            yield Word(("block_incremental",), to.flag(block.values), (block,))


def retention_words(own: Mapping[str, Given]) -> Iterator[Word]:
    """What is kept, in the words of a policy."""
    full, kind = own.get("retention-full"), own.get("retention-full-type")
    if full is not None:
        by_time = kind is not None and kind.values == ("time",)
        convert = to.days(1) if by_time else to.number(1, 9_999_999)
        value = convert(full.values)
        if value is not None:
            sources = (full, kind) if kind is not None else (full,)
            yield Word(("window" if by_time else "full",), value, sources)
    for name, (where, convert) in _RETENTION.items():
        given = own.get(name)
        if given is not None and (value := convert(given.values)) is not None:
            yield Word(where, value, (given,))
    archive = own.get("retention-archive-type")
    if archive is not None and "retention-archive" in own and archive.values[0] in _WAL_TYPES:
        yield Word(("wal_type",), _WAL_TYPES[archive.values[0]], (archive,))
