"""What pgBackRest checks and decides between options once all are read (src/config/load.c). It reads no file."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

from pgwrap.engines.pgbackrest.native_values import UNITS_OF_TIME
from pgwrap.engines.pgbackrest.resolution import Resolution, kept
from pgwrap.engines.port import EngineVersion

_DEFAULTS_IN_LOAD = EngineVersion.parse("2.56")
"""From here on the parser itself knows defaults that depend on another option."""
_KEY_CHECK_TYPE = EngineVersion.parse("2.48")
_BUCKET_STYLE = EngineVersion.parse("2.58")
_LEVELS = {"none": (0, 0, 0), "bz2": (9, 1, 9), "gz": (6, -1, 9), "lz4": (1, -5, 12), "zst": (3, -7, 22)}
"""The default, lowest and highest level of each compression before `_DEFAULTS_IN_LOAD`."""
_TLS_PORT = "8432"
_HTTP = EngineVersion.parse("2.58")
_ADDRESSES = ("repo-s3-endpoint", "repo-gcs-endpoint", "repo-azure-endpoint", "repo-storage-host")
_ADDRESS = re.compile(r"(?:https?://)?(?:[^\[:/?]+|\[[a-fA-F0-9:]+\])(?::[1-9][0-9]{0,4})?(?:/[^?]*)?")


def between(resolution: Resolution) -> None:
    """What pgBackRest checks and decides between options once all are read."""
    if resolution.rules.version < _DEFAULTS_IN_LOAD:
        _old_defaults(resolution)
    _compress(resolution)
    _retention(resolution)
    _timeouts(resolution)
    _hosts(resolution)
    _paths(resolution)
    _buckets(resolution)
    _endpoints(resolution)
    _shared_keys(resolution)
    if resolution.rules.version >= _KEY_CHECK_TYPE:
        _host_keys(resolution)


def _old_defaults(resolution: Resolution) -> None:
    for group in ("repo", "pg"):
        for number in resolution.numbers[group]:
            host = f"{group}-host"
            if resolution.value(f"{host}-type", number) == "tls" and resolution.is_default(f"{host}-port", number):
                resolution.set_default(f"{host}-port", _TLS_PORT, number)
    for number in resolution.numbers["repo"]:
        kind = resolution.value("repo-type", number)
        name = "repo-storage-upload-chunk-size"
        if kind in {"azure", "gcs", "s3"} and resolution.is_default(name, number):
            resolution.set_default(name, "5MiB" if kind == "s3" else "4MiB", number)


def _compress(resolution: Resolution) -> None:
    """The old `compress`, and before 2.56 the level that goes with a type."""
    kind = resolution.value("compress-type")
    if kind is None:
        return
    if resolution.value("compress") == "n" and resolution.is_default("compress-type"):
        kind = "none"
        option = resolution.found["compress", 1]
        resolution.found["compress-type", 1] = replace(option, values=(kind,))
        resolution.set_default("compress-level", "0")
    resolution.found.pop(("compress", 1), None)
    if resolution.rules.version < _DEFAULTS_IN_LOAD:
        _old_level(resolution, kind)


def _old_level(resolution: Resolution, kind: str) -> None:
    default, lowest, highest = _LEVELS.get(kind, (0, 0, 0))
    level = resolution.found.get(("compress-level", 1))
    if level is None or level.place is None:
        resolution.set_default("compress-level", str(default))
    elif kind != "none" and not lowest <= int(level.values[0]) <= highest:
        message = f"must be between {lowest} and {highest} with compress-type={kind}, not {level.shown} [032]"
        resolution.findings.refuse(message, level.place, "compress-level")


def _retention(resolution: Resolution) -> None:
    """How many backups keep their WAL when nobody says it."""
    for number in resolution.numbers["repo"]:
        if ("repo-retention-archive", number) in resolution.found:
            continue
        kind = resolution.value("repo-retention-archive-type", number)
        source = {"full": "repo-retention-full", "diff": "repo-retention-diff"}.get(kind or "")
        counted = kind != "full" or resolution.value("repo-retention-full-type", number) == "count"
        value = resolution.value(source, number) if source and counted else None
        if value is not None:
            resolution.set_default("repo-retention-archive", value, number)


def _timeouts(resolution: Resolution) -> None:
    database, protocol = (resolution.value(name) for name in ("db-timeout", "protocol-timeout"))
    if database is None or protocol is None or float(protocol) > float(database):
        return
    if resolution.is_default("protocol-timeout"):
        resolution.set_default("protocol-timeout", _seconds(resolution, float(database) + 30))
    elif resolution.is_default("db-timeout"):
        lower = float(protocol) - 30
        resolution.set_default("db-timeout", _seconds(resolution, lower if lower >= 15 else float(protocol) / 2))
    else:
        place = resolution.found["protocol-timeout", 1].place
        message = f"must be greater than db-timeout, which is {database} s [032]"
        resolution.findings.refuse(message, place, "protocol-timeout")


def _seconds(resolution: Resolution, amount: float) -> str:
    """As a default that the version reads back."""
    if resolution.rules.version < UNITS_OF_TIME:
        return f"{amount:g}" if amount < 1e5 else str(int(amount))
    return f"{int(amount * 1000)}ms"


def _hosts(resolution: Resolution) -> None:
    if not {"pg-host", "repo-host"} <= {name for name, _ in resolution.found}:
        return
    number, place = next(
        (number, option.place) for (name, number), option in resolution.found.items() if name == "repo-host"
    )
    message = "the database and a repository cannot both be on another host [027]"
    resolution.findings.refuse(message, place, f"repo{number}-host")


def _paths(resolution: Resolution) -> None:
    first: dict[tuple[str | None, str], int] = {}
    for number in kept(resolution, "repo"):
        kind, path = resolution.value("repo-type", number), resolution.value("repo-path", number)
        if path is None or kind not in {"posix", "cifs"} or ("repo-host", number) in resolution.found:
            continue
        known = first.setdefault((kind, path), number)
        if known != number:
            place = resolution.found["repo-path", number].place or resolution.place
            message = f"repo{known} and repo{number} have one path, {path} [032]"
            resolution.findings.refuse(message, place, f"repo{number}-path")


def _buckets(resolution: Resolution) -> None:
    for number in resolution.numbers["repo"]:
        bucket = resolution.found.get(("repo-s3-bucket", number))
        if bucket is None or "." not in bucket.values[0] or resolution.value("repo-storage-verify-tls", number) != "y":
            continue
        style = resolution.value("repo-s3-uri-style", number)
        if resolution.rules.version < _BUCKET_STYLE or style == "host":
            message = "a bucket's name with dots cannot be verified by TLS [032]"
            resolution.findings.refuse(message, bucket.place, f"repo{number}-s3-bucket")


def _endpoints(resolution: Resolution) -> None:
    """Addresses are read when the repository is opened, on the host that opens it."""
    for number in resolution.numbers["repo"]:
        if ("repo-host", number) not in resolution.found:
            for name in _ADDRESSES:
                _check_address(resolution, name, number)


def _check_address(resolution: Resolution, name: str, number: int) -> None:
    address = resolution.found.get((name, number))
    if address is None or address.secret:
        return
    key = resolution.rules.options[name].key(number)
    if not _ADDRESS.fullmatch(address.values[0]):
        resolution.findings.refuse(f"{address.shown!r} is no address [029]", address.place, key)
    elif address.values[0].startswith("http://") and resolution.rules.version < _HTTP:
        message = "pgBackRest knows http from 2.58 on; before, it takes only https [029]"
        resolution.findings.refuse(message, address.place, key)


def _shared_keys(resolution: Resolution) -> None:
    """Azure's shared key is decoded when the repository is opened."""
    for number in resolution.numbers["repo"]:
        key = resolution.found.get(("repo-azure-key", number))
        if key is None or ("repo-host", number) in resolution.found:
            continue
        if resolution.value("repo-azure-key-type", number) == "shared" and not _is_base64(key.values[0]):
            message = "the shared key is not base64 [032]"
            resolution.findings.refuse(message, key.place, f"repo{number}-azure-key")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _host_keys(resolution: Resolution) -> None:
    for number in resolution.numbers["repo"]:
        check = resolution.found.get(("repo-sftp-host-key-check-type", number))
        if check is None:
            continue
        fingerprint = resolution.found.get(("repo-sftp-host-fingerprint", number))
        if fingerprint is not None and check.place is None:
            resolution.set_default("repo-sftp-host-key-check-type", "fingerprint", number)
        elif fingerprint is not None and check.values != ("fingerprint",):
            message = "goes only with host-key-check-type=fingerprint [031]"
            resolution.findings.refuse(message, fingerprint.place, f"repo{number}-sftp-host-fingerprint")
        elif fingerprint is None and check.values == ("fingerprint",) and resolution.demanding:
            message = f"repo{number}-sftp-host-fingerprint is missing [037]"
            resolution.findings.refuse(message, check.place, f"repo{number}-sftp-host-key-check-type")
