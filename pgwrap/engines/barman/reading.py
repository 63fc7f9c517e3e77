"""Barman's configuration as Barman understands it: every server's options, inheritance and defaults applied.

It reads files that it is given, and adopts nothing. Source: Config, ServerConfig and ModelConfig in barman/config.py.
"""

from __future__ import annotations

import binascii
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Final

from pgwrap.domain.native import Effective, NativeFile, Reading, View
from pgwrap.engines.barman import conninfo, meaning
from pgwrap.engines.barman.at_work import DIRECTORIES, Stated, as_servers
from pgwrap.engines.barman.ini import RefusedFile, Sections, Variables
from pgwrap.engines.barman.installation import MODELS, Installation, install
from pgwrap.engines.barman.meaning import STORES, InvalidValue, Value
from pgwrap.engines.barman.options import Option, nearest, options
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Location, Problem
from pgwrap.records import dataclass

MODEL_PREFIX: Final = "model "
"""How a view's subject names a model."""
_QUOTED: Final = re.compile(r"""^(["'])(.*)\1$""")
_NONE_IN_ANY_CASE: Final = EngineVersion((3, 9))
"""Until this version `none` meant nothing in any case, since then only `None` does."""
_GLOBAL_DEFAULTS: Final = {
    "barman_lock_directory": "%(barman_home)s",
    "barman_user": "barman",
    "config_changes_queue": "%(barman_home)s/cfg_changes.queue",
    "lock_directory_cleanup": "true",
    "log_level": "INFO",
}
_NOT_PART: Final = frozenset({"configuration_files_directory"})
"""Where the files are, not what they mean."""


def read(files: tuple[NativeFile, ...], version: EngineVersion) -> Reading:
    """Every server and model of the files, and "" for [barman] itself; nothing but the refusal where Barman ends."""
    try:
        return _Reader(version=version, installation=install(files, version)).read()
    except RefusedFile as refused:
        return Reading(views=(), refusals=refused.problems)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """One walk over the sections, collecting what Barman would warn of."""

    version: EngineVersion
    installation: Installation
    remarks: dict[Problem, None] = field(default_factory=dict)
    common: dict[str, str | None] = field(default_factory=dict)

    @property
    def sections(self) -> Sections:
        """What the files hold."""
        return self.installation.sections

    def read(self) -> Reading:
        """All views, in the order of the files."""
        views = [self._barman()]
        servers: dict[str, dict[str, Stated]] = {}
        models: dict[str, dict[str, Stated]] = {}
        for name in self.sections.names():
            if name == "all":
                message = "Barman keeps the name 'all' for itself and ends with an error"
                raise RefusedFile(Problem(message=message, location=self.sections.section_place(name)))
            if name == "barman":
                continue
            if self._is_model(name):
                models[name] = self._model(name)
            else:
                servers[name] = self._server(name)
        self._no_shared_paths(servers)
        self._activate(servers, models)
        for name, stated in servers.items():
            _check_magic(name, stated)
            self._check_redundancy(name, stated)
            views.append(_view(name, as_servers(name, stated, self._remark_of(name))))
        views += (_view(f"{MODEL_PREFIX}{name}", stated) for name, stated in models.items())
        self._repeated()
        self._unread()
        return Reading(views=tuple(views), remarks=tuple(self.remarks))

    def remark(self, message: str, place: Location | None, hint: str = "") -> None:
        """Keep something that Barman warns of or does silently."""
        self.remarks[Problem(message=message, location=place, hint=hint, severity="warning")] = None

    def _remark_of(self, section: str) -> Callable[[str, Location | None], None]:
        """Remarks on a server, placed at its section where no line says what they are about."""
        return lambda message, place: self.remark(message, place or self.sections.section_place(section))

    def _text(self, section: str, option: str, variables: Variables, none: str | None = "") -> str | None:
        """Config.get: nothing for `None`, and no quotes around the whole value."""
        text = self.sections.text(section, option, variables)
        if text is None:
            return None
        nothing = text.lower() == "none" if self.version < _NONE_IN_ANY_CASE else text == "None"
        return none if nothing else _QUOTED.sub(lambda match: match[2], text)

    def _barman(self) -> View:
        for option in self.sections.options("barman"):
            self._known("barman", option)
        if "barman_home" not in self.sections.options("barman"):
            message = "[barman] has no barman_home, and Barman ends with an error"
            place = self.sections.section_place("barman")
            raise RefusedFile(Problem(message=message, location=place, hint="add barman_home = /var/lib/barman"))
        stated = {option.name: found for option in _globals(self.version) if (found := self._global(option))}
        self._cleanup(stated)
        home = self._text("barman", "barman_home", {}, none=None)
        self.common = {
            "barman_home": home,
            "barman_lock_directory": stated["barman_lock_directory"].text,
            "msg_list": "[]",
        }
        if self.version >= MODELS:
            cleanup = meaning.boolean(stated["lock_directory_cleanup"].text)
            self.common["lock_directory_cleanup"] = str(cleanup)
            self.common["config_changes_queue"] = stated["config_changes_queue"].text
        inherited = {
            option.name: found
            for option in meaning.reading_order()
            if self._here(option, "both") and (found := self._found("barman", option, {})) is not None
        }
        return _view("", {**stated, **inherited})

    def _global(self, option: Option) -> Stated | None:
        text = self._text("barman", option.name, {}, none=None)
        if text:
            value = _level(text) if option.name == "log_level" else text
            return Stated(value=value, text=text, place=self.sections.place("barman", option.name))
        default = _GLOBAL_DEFAULTS.get(option.name)
        if default is None:
            return None
        home = self._text("barman", "barman_home", {}, none=None)
        filled = default.replace("%(barman_home)s", str(home))
        return Stated(value=filled, text=filled, place=None)

    def _cleanup(self, stated: dict[str, Stated]) -> None:
        found = stated.get("lock_directory_cleanup")
        if found is None:
            return
        try:
            value = meaning.boolean(found.text)
        except InvalidValue as error:
            message = f"[barman] lock_directory_cleanup is {found.text!r}: {error}; Barman ends with an error"
            raise RefusedFile(Problem(message=message, location=found.place)) from None
        stated["lock_directory_cleanup"] = Stated(value=value, text=found.text, place=found.place)

    def _server(self, name: str) -> dict[str, Stated]:
        for written in self.sections.options(name):
            self._known(name, written)
        self.sections.items(name)
        stated: dict[str, Stated] = {}
        variables: dict[str, str | None] = {"name": name, **self.common}
        for option in filter(lambda option: self._here(option, "both", "server"), meaning.reading_order()):
            found = self._evaluated(name, option, variables)
            variables[option.name] = None if found is None else meaning.spoken(found.value)
            if found is not None:
                stated[option.name] = found
        self._has_directories(name, stated)
        return stated

    def _evaluated(self, name: str, option: Option, variables: Variables) -> Stated | None:
        """ServerConfig.__init__: the server's own, else [barman]'s, else the default; an empty text ends the search."""
        found = self._found(name, option, variables)
        if found is None and option.scope == "both":
            found = self._found("barman", option, variables)
        if found is None and option.default is not None:
            text = _filled(option.default, variables)
            value = meaning.parse(option, text, self.version)
            found = None if value is None else Stated(value=value, text=text, place=None)
        return None if found is None or found.value in ("", "None") else found

    def _found(self, section: str, option: Option, variables: Variables) -> Stated | None:
        text = self._text(section, option.name, variables)
        if text is None:
            return None
        place = self.sections.place(section, option.name)
        try:
            value = meaning.parse(option, text, self.version)
        except InvalidValue as error:
            otherwise = "what [barman] or the default says" if section != "barman" else "the default"
            shown = "an empty value" if not text else repr(text)
            message = f"[{section}] {option.name}: Barman ignores {shown}, for {error}; {otherwise} holds"
            self.remark(message, place)
            return None
        return None if value is None else Stated(value=value, text=text, place=place)

    def _here(self, option: Option, *scopes: str) -> bool:
        return option.scope in scopes and option.since <= self.version

    def _of_models(self, option: Option) -> bool:
        return option.since <= self.version and (option.model or option.scope == "model")

    def _known(self, section: str, name: str) -> None:
        """_validate_with_keys, and what Barman accepts in [barman] and then never looks at."""
        option = options().get(name)
        place = self.sections.place(section, name)
        if name == "disabled":
            self.remark(f"[{section}] disabled: Barman sets it itself and ignores this line", place)
        elif option is None or option.since > self.version:
            close = nearest(name) if option is None else None
            came = f", which came with {option.since}" if option is not None else ""
            hint = f"did you mean {close}?" if close is not None else ""
            self.remark(
                f"[{section}] Barman {self.version} has no option {name}{came}: it ignores the line", place, hint
            )
        elif section == "barman" and option.scope in ("server", "model"):
            self.remark(
                f"[barman] {name}: Barman looks for it in the servers' sections only and ignores it here", place
            )
        elif section != "barman" and option.scope == "global":
            self.remark(f"[{section}] {name} belongs to [barman]: Barman ignores it here", place)

    def _is_model(self, name: str) -> bool:
        if self.version < MODELS:
            return False
        text = self.sections.text(name, "model")
        if text is None:
            return False
        try:
            return meaning.boolean(text)
        except InvalidValue as error:
            message = f"[{name}] model is {text!r}: {error}; Barman ends with an error"
            raise RefusedFile(Problem(message=message, location=self.sections.place(name, "model"))) from None

    def _model(self, name: str) -> dict[str, Stated]:
        written = self.sections.options(name)
        self.sections.items(name)
        for required in ("cluster", "model"):
            if required not in written:
                message = f"the model [{name}] has no {required}, and Barman ends with an error"
                raise RefusedFile(Problem(message=message, location=self.sections.section_place(name)))
        for key in written:
            known = options().get(key)
            if known is None or not self._of_models(known):
                place = self.sections.place(name, key)
                self.remark(f"the model [{name}] cannot change {key}: Barman ignores the line", place)
        stated: dict[str, Stated] = {}
        variables: dict[str, str | None] = {"name": name}
        for option in filter(self._of_models, meaning.reading_order()):
            found = self._found(name, option, variables)
            if found is not None and found.value not in ("", "None"):
                stated[option.name] = found
                variables[option.name] = meaning.spoken(found.value)
        return stated

    def _activate(self, servers: dict[str, dict[str, Stated]], models: Mapping[str, dict[str, Stated]]) -> None:
        """_apply_models: what a model says replaces what the server says."""
        for file in self.installation.active:
            directory = posixpath.dirname(file.path)
            place = Location(file.path, 1, 1)
            wanted = file.content.decode(errors="replace").strip()
            for name, stated in servers.items():
                if not wanted or posixpath.normpath(stated["backup_directory"].text) != directory:
                    continue
                model = models.get(wanted)
                if model is None:
                    self.remark(f"the model {wanted!r} is active for [{name}] but there is none: it is disabled", place)
                elif model.get("cluster") is None or model["cluster"].value != stated["cluster"].value:
                    self.remark(f"the model {wanted!r} belongs to another cluster than [{name}]: not applied", place)
                else:
                    overrides = {key: value for key, value in model.items() if key not in ("cluster", "model")}
                    self.remark(f"the model {wanted!r} is active for [{name}]: {', '.join(sorted(overrides))}", place)
                    stated.update(overrides)

    def _has_directories(self, name: str, stated: Mapping[str, Stated]) -> None:
        for option in DIRECTORIES:
            if option not in stated:
                place = self.sections.place(name, option)
                message = f"[{name}] {option} is empty, and Barman ends with an error"
                raise RefusedFile(Problem(message=message, location=place, hint="leave the line out for the default"))

    def _check_redundancy(self, name: str, stated: Mapping[str, Stated]) -> None:
        """Server._init_minimum_redundancy stumbles over a text that takes the default away."""
        if "minimum_redundancy" not in stated:
            section = name if "minimum_redundancy" in self.sections.options(name) else "barman"
            place = self.sections.place(section, "minimum_redundancy")
            message = f"[{section}] minimum_redundancy is empty, and Barman ends with an error"
            raise RefusedFile(Problem(message=message, location=place, hint="write 0, or leave the line out"))

    def _no_shared_paths(self, servers: Mapping[str, Mapping[str, Stated]]) -> None:
        """Two servers with one path: every command of every server fails. Symbolic links are not followed."""
        first: dict[str, tuple[str, str]] = {}
        problems = []
        for name in sorted(servers):
            for option in sorted(DIRECTORIES):
                stated = servers[name][option]
                if "://" in stated.text and self.version >= STORES:
                    continue
                known = first.setdefault(posixpath.normpath(stated.text), (name, option))
                if known[0] != name:
                    own = (stated, servers[name]["backup_directory"], *(servers[known[0]][key] for key in DIRECTORIES))
                    place = next((found.place for found in own if found.place is not None), None)
                    message = f"[{name}] {option} is {stated.text}, which is also {known[1]} of [{known[0]}]"
                    hint = "Barman refuses every command until they differ"
                    location = place or self.sections.section_place(name)
                    problems.append(Problem(message=message, location=location, hint=hint))
        if problems:
            raise RefusedFile(*problems)

    def _repeated(self) -> None:
        for section, option, before, after in self.sections.repeated():
            if before.file and before != after:
                where = f"line {after.line}" if before.file == after.file else str(after)
                self.remark(f"[{section}] {option} is set again in {where}: this line counts for nothing", before)

    def _unread(self) -> None:
        main = self.installation.main
        directory = self._text("barman", "configuration_files_directory", {}, none=None)
        if main is None:
            message = "there is no [barman] section: the packaged main file is assumed beside it"
            first = self.installation.included[0] if self.installation.included else None
            self.remark(message, Location(first.path, 1, 1) if first else None, "name barman.conf too if it differs")
        elif directory and not self.installation.included:
            place = self.sections.place("barman", "configuration_files_directory")
            message = f"the servers in {directory} were not read"
            self.remark(message, place, f"name them too: {directory.rstrip('/')}/*.conf")


def _check_magic(name: str, stated: Mapping[str, Stated]) -> None:
    """CompressionManager, barman/compression.py: two characters, then bytes in hexadecimal."""
    magic, compression = stated.get("custom_compression_magic"), stated.get("compression")
    if magic is None or compression is None or compression.value != "custom":
        return
    try:
        binascii.unhexlify(magic.text[2:])
    except ValueError:
        message = f"[{name}] custom_compression_magic is no hexadecimal number, and Barman ends with an error"
        raise RefusedFile(
            Problem(message=message, location=magic.place, hint="write it as 0x and pairs of digits")
        ) from None


def _globals(version: EngineVersion) -> Iterator[Option]:
    for option in options().values():
        if option.scope == "global" and option.since <= version and option.name not in _NOT_PART:
            yield option


def _level(text: str) -> str:
    return text.strip().upper()


def _filled(default: str, variables: Variables) -> str:
    """Python's own `default % variables`, which prints None for what is not set."""
    return default % {name: value if value is not None else "None" for name, value in variables.items()}


def _view(subject: str, stated: Mapping[str, Stated]) -> View:
    return View(
        subject=subject,
        command=None,
        options={name: _effective(name, found) for name, found in stated.items()},
    )


def _effective(name: str, stated: Stated) -> Effective:
    value: Value = stated.value
    is_conninfo = name in conninfo.OPTIONS and isinstance(value, str)
    return Effective(
        values=conninfo.meaning(name, str(value)) if is_conninfo else meaning.normal(value),
        written=() if stated.place is None else (stated.text,),
        place=stated.place,
        secret=(is_conninfo and conninfo.holds_password(str(value))) or name == "aws_sse_customer_key",
    )
