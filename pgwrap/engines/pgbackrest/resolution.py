"""All options of one pgBackRest command as its parser resolves them: dependencies, defaults, required ones, and the
rules between options (src/config/parse.c from phase 4 on, src/config/load.c). It reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pgwrap.domain.native import Effective
from pgwrap.engines.pgbackrest.layers import Findings, Given, OptionKey
from pgwrap.engines.pgbackrest.native_values import (
    ValueRefusedError,
    default_meaning,
    is_cut_short,
    meaning,
)
from pgwrap.engines.pgbackrest.rules import Depend, Rule, Rules
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location

_DEFAULTS_IN_LOAD = EngineVersion.parse("2.56")
"""From here on the parser itself knows defaults that depend on another option."""
_KEY_CHECK_TYPE = EngineVersion.parse("2.48")
_BUCKET_STYLE = EngineVersion.parse("2.58")
_LEVELS = {"none": (0, 0, 0), "bz2": (9, 1, 9), "gz": (6, -1, 9), "lz4": (1, -5, 12), "zst": (3, -7, 22)}
"""The default, lowest and highest level of each compression before `_DEFAULTS_IN_LOAD`."""
_TLS_PORT = "8432"


@dataclass(slots=True)
class Resolution:
    """The options of one command as far as they are resolved."""

    rules: Rules
    command: str
    stanza: str
    place: Location | None
    """Where the stanza, or the file, begins: for what is missing."""
    given: Mapping[OptionKey, Given]
    findings: Findings
    demanding: bool
    """Whether what is missing refuses the files: not for commands that take it from the command line."""
    found: dict[OptionKey, Effective] = field(default_factory=dict)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def value(self, name: str, number: int = 1) -> str | None:
        """The single value of an option."""
        option = self.found.get((name, number))
        return option.values[0] if option is not None and option.values else None

    def is_default(self, name: str, number: int = 1) -> bool:
        """Whether nobody wrote it."""
        option = self.found.get((name, number))
        return option is None or option.place is None

    def set_default(self, name: str, value: str, number: int = 1) -> None:
        """A default that another option decides."""
        rule = self.rules.options[name]
        self.found[name, number] = Effective(
            values=default_meaning(rule, value, self.rules.version), secret=rule.secure
        )


def resolve(resolution: Resolution) -> Mapping[str, Effective]:
    """Every option by its canonical name; refusals and remarks go to the findings."""
    valid = [rule for rule in resolution.rules.options.values() if resolution.command in rule.commands]
    resolution.numbers = _numbers(valid, resolution.given)
    for rule in valid:
        for number in resolution.numbers[rule.group] if rule.group else (1,):
            _resolve_one(resolution, rule, number)
    _between(resolution)
    return _named(resolution)


def _numbers(valid: list[Rule], given: Mapping[OptionKey, Given]) -> dict[str, tuple[int, ...]]:
    """The numbers in use of each group; pg1 always is."""
    names = {rule.name for rule in valid}
    found: dict[str, set[int]] = {"repo": set(), "pg": set()}
    for (name, number), one in given.items():
        if name in names and one.rule.group is not None:
            found[one.rule.group].add(number)
    found["pg"].add(1)
    found["repo"] = found["repo"] or {1}
    return {group: tuple(sorted(numbers)) for group, numbers in found.items()}


def _resolve_one(resolution: Resolution, rule: Rule, number: int) -> None:
    terms = rule.for_command(resolution.command)
    given = resolution.given.get((rule.name, number))
    match: str | None = None
    if terms.depend is not None:
        valid, match = _depend(resolution, terms.depend, number)
        if not valid:
            _without(resolution, rule, number, terms.depend)
            return
    if given is not None:
        _take(resolution, rule, number, given, match)
    elif (default := _default(terms.default, match)) is not None:
        values = default_meaning(rule, default, resolution.rules.version)
        resolution.found[rule.name, number] = Effective(values=values, secret=rule.secure)
    elif terms.required and resolution.demanding and rule.section != "command-line":
        _missing(resolution, rule, number, terms.depend)


def _default(default: str | Mapping[str, str] | None, match: str | None) -> str | None:
    return default.get(match or "") if isinstance(default, Mapping) else default


def _depend(resolution: Resolution, depend: Depend, number: int) -> tuple[bool, str | None]:
    """Whether the option counts, and the value it depends on."""
    other = resolution.rules.options[depend.option]
    if other.name == "stanza":
        return bool(resolution.stanza), None
    option = resolution.found.get((other.name, number if other.group else 1))
    if option is None or depend.values is None:
        return option is not None, None
    value = option.values[0]
    if other.type == "boolean":
        return value in {"y" if one == "true" else "n" for one in depend.values}, None
    written = option.written[0] if option.written else value
    return written in depend.values, written


def _without(resolution: Resolution, rule: Rule, number: int, depend: Depend) -> None:
    """The other option makes this one pointless: it is passed over, unless it has a value for that case."""
    if depend.default is not None:
        values = default_meaning(rule, depend.default, resolution.rules.version)
        resolution.found[rule.name, number] = Effective(values=values, secret=rule.secure)


def _take(resolution: Resolution, rule: Rule, number: int, given: Given, match: str | None) -> None:
    fault = _shape_fault(rule, given.values)
    if fault:
        resolution.findings.refuse(fault, given.places[-1], given.key)
        return
    if rule.beta and resolution.value("beta") != "y":
        message = f"a trial of pgBackRest {resolution.rules.version}, which asks for beta=y [031]"
        resolution.findings.refuse(message, given.place, given.key)
        return
    if any(is_cut_short(rule, value, resolution.rules.version) for value in given.values):
        message = f"pgBackRest {resolution.rules.version} knows no units of time and reads seconds"
        resolution.findings.remark(message, given.place, given.key, "write seconds")
    try:
        values = meaning(rule, given.values, match, resolution.command, resolution.rules)
    except ValueRefusedError as error:
        resolution.findings.refuse(str(error), given.place, given.key)
        return
    resolution.found[rule.name, number] = Effective(
        values=values, written=given.values, place=given.place, secret=rule.secure
    )


def _shape_fault(rule: Rule, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        return "" if rule.multi else "set several times [031]"
    if values[0] == "":
        return "must have a value [032]"
    if rule.type == "boolean" and values[0] not in {"y", "n"}:
        return f"must be y or n, not {values[0]!r} [032]"
    return ""


def _missing(resolution: Resolution, rule: Rule, number: int, depend: Depend | None) -> None:
    cause = None
    if depend is not None:
        other = resolution.rules.options[depend.option]
        cause = resolution.found.get((other.name, number if other.group else 1))
    place = cause.place if cause is not None and cause.place is not None else resolution.place
    because = f", for {_said(resolution, depend, number)}" if depend is not None else ""
    stanza = f" of the stanza {resolution.stanza!r}" if resolution.stanza else ""
    resolution.findings.refuse(f"{rule.key(number)}{stanza} is missing{because} [037]", place)


def _said(resolution: Resolution, depend: Depend, number: int) -> str:
    other = resolution.rules.options[depend.option]
    key = other.key(number if other.group else 1)
    value = resolution.value(other.name, number if other.group else 1)
    return f"{key}={value}" if value is not None and not other.secure else key


def _between(resolution: Resolution) -> None:
    """What pgBackRest checks and decides between options once all are read."""
    if resolution.rules.version < _DEFAULTS_IN_LOAD:
        _old_defaults(resolution)
    _compress(resolution)
    _retention(resolution)
    _timeouts(resolution)
    _hosts(resolution)
    _paths(resolution)
    _buckets(resolution)
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
        resolution.found["compress-type"] = replace(option, values=(kind,))
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
    if resolution.rules.version < EngineVersion.parse("2.53"):
        return f"{amount:g}" if amount < 1e5 else str(int(amount))
    return f"{int(amount * 1000)}ms"


def _hosts(resolution: Resolution) -> None:
    if not {"pg-host", "repo-host"} <= {name for name, _ in resolution.found}:
        return
    place = next(option.place for (name, _), option in resolution.found.items() if name == "repo-host")
    message = "the database and a repository cannot both be on another host [025]"
    resolution.findings.refuse(message, place, "repo-host")


def _paths(resolution: Resolution) -> None:
    first: dict[tuple[str | None, str], int] = {}
    for number in _kept(resolution, "repo"):
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


def _kept(resolution: Resolution, group: str) -> tuple[int, ...]:
    """The numbers of which anything counts that somebody wrote; with none of them the first, as number 1."""
    numbers = resolution.numbers[group]
    if len(numbers) == 1:
        return numbers
    written = {
        number
        for (name, number), option in resolution.found.items()
        if option.place is not None and resolution.rules.options[name].group == group
    }
    return tuple(number for number in numbers if number in written) or numbers[:1]


def _named(resolution: Resolution) -> dict[str, Effective]:
    return dict(_options(resolution))


def _options(resolution: Resolution) -> Iterator[tuple[str, Effective]]:
    kept = {group: _kept(resolution, group) for group in ("repo", "pg")}
    for (name, number), option in resolution.found.items():
        rule = resolution.rules.options[name]
        if rule.section == "command-line" or (rule.group is not None and number not in kept[rule.group]):
            continue
        yield rule.key(_renumbered(resolution, rule, number, kept)), option


def _renumbered(resolution: Resolution, rule: Rule, number: int, kept: Mapping[str, tuple[int, ...]]) -> int:
    """A single repository of which nothing counts that somebody wrote is number 1, whatever was written."""
    if rule.group is None or len(kept[rule.group]) > 1 or number == 1:
        return number
    written = any(
        option.place is not None and one == number and resolution.rules.options[name].group == rule.group
        for (name, one), option in resolution.found.items()
    )
    return number if written else 1
