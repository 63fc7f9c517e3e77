"""Writes pgwrap/engines/pgbackrest/rules.json from pgBackRest's own source: how its parser treats each option.

    python integration/pgbackrest_rules.py GIT_DIRECTORY

GIT_DIRECTORY is a clone of pgBackRest. Nothing is built or run from it; only its table of options is read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml

TARGET = Path(__file__).parent.parent / "pgwrap/engines/pgbackrest/rules.json"
OLDEST = (2, 45)
DEVELOPMENT = "2.60.0"
"""The version that the clone's HEAD becomes."""
PLACES = ("src/build/config/config.yaml", "build/config.yaml")
SKIPPED = frozenset({"help", "version"})
LITERALS = {
    'CFGOPTDEF_CONFIG_PATH "/" PROJECT_CONFIG_FILE': "/etc/pgbackrest/pgbackrest.conf",
    'CFGOPTDEF_CONFIG_PATH "/" PROJECT_CONFIG_INCLUDE_PATH': "/etc/pgbackrest/conf.d",
    "CFGOPTDEF_CONFIG_PATH": "/etc/pgbackrest",
}
"""Debian's."""
RELEASED_LATER: dict[str, Any] = {
    "checksum-page-error": {
        "section": "global",
        "type": "boolean",
        "required": False,
        "negate": True,
        "commands": ["backup", "expire", "restore"],
    },
    "repo-storage-prefetch": {
        "section": "global",
        "group": "repo",
        "type": "integer",
        "default": "3",
        "range": ["0", "1024"],
    },
    "repo-storage-read-over": {
        "section": "global",
        "group": "repo",
        "type": "size",
        "default": "64KiB",
        "range": ["0B", "1MiB"],
    },
}
"""What 2.60.0 has and the clone's HEAD had not yet, as `pgbackrest help` of 2.60.0 says it."""

Pairs: TypeAlias = "list[tuple[str, Any]]"
Rule: TypeAlias = "dict[str, Any]"


def main() -> None:
    """Read every release, note what changed, and write the table."""
    git = sys.argv[1]
    tables: dict[str, dict[str, Rule]] = {}
    commands: dict[str, list[str]] = {}
    for version, revision in _revisions(git):
        document = dict(_pairs(_show(git, revision)))
        roles = _roles(document["command"])
        tables[version] = _options(document["option"], roles)
        commands[version] = sorted(name for name in roles if name not in SKIPPED)
    _release(tables[DEVELOPMENT])
    _write(tables, commands)


def _revisions(git: str) -> list[tuple[str, str]]:
    listed = subprocess.run(["git", "--git-dir", git, "tag"], check=True, capture_output=True, text=True).stdout
    found = []
    for tag in listed.split():
        text = tag.removeprefix("release/")
        numbers = tuple(int(part) for part in text.split(".") if part.isdecimal())
        if tag.startswith("release/") and numbers >= OLDEST:
            found.append((numbers, text, tag))
    return [*((text, tag) for _, text, tag in sorted(found)), (DEVELOPMENT, "HEAD")]


def _show(git: str, revision: str) -> str:
    for place in PLACES:
        done = subprocess.run(
            ["git", "--git-dir", git, "show", f"{revision}:{place}"], check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            return done.stdout
    raise SystemExit(f"{revision} has none of {PLACES}")


def _pairs(text: str) -> Any:
    """The document with each mapping as pairs, for keys that repeat (`-command`) mean something."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return [] if root is None else _data(root)


def _data(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return [(key.value, _data(value)) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [_data(item) for item in node.value]
    return node.value


def _roles(raw: Pairs) -> dict[str, set[str]]:
    return {name: {"main", *(role for role, _ in dict(detail).get("command-role") or ())} for name, detail in raw}


def _options(raw: Pairs, roles: dict[str, set[str]]) -> dict[str, Rule]:
    """Each option as its parser sees it. `commands` maps each command to what it says otherwise, its roles included."""
    found: dict[str, Rule] = {}
    for name, detail in raw:
        rule: Rule = {}
        inherited = False
        for key, value in detail:
            if key == "inherit":
                rule = dict(found[value])
                rule.pop("deprecated", None)
                inherited = True
            else:
                _apply(rule, key, value, found, roles)
        rule.setdefault("section", "command-line")
        if not inherited:
            switchable = rule["type"] == "boolean" or rule.get("bool-like", False)
            rule.setdefault("negate", switchable and rule["section"] != "command-line")
            rule.setdefault("commands", {command: {} for command in roles if command not in SKIPPED})
        found[name] = rule
    return found


def _apply(rule: Rule, key: str, value: Any, found: dict[str, Rule], roles: dict[str, set[str]]) -> None:
    if key == "command":
        rule["commands"] = _commands(value, found, roles)
    elif key in _FLAGS:
        rule[key] = value == "true"
    elif key in _TEXTS:
        rule[key] = value
    elif key in _READERS:
        name, read = _READERS[key]
        rule[name] = read(value, found)
    elif key != "sequence":
        raise SystemExit(f"config.yaml has a new word: {key}")


def _choice(item: Any) -> str:
    return str(item if isinstance(item, str) else item[0][0])


def _mapped(value: Any) -> Any:
    return value if isinstance(value[0], str) else {key: limits for entry in value for key, limits in entry}


def _default(value: Any) -> Any:
    return value if isinstance(value, str) else {key: default for entry in value for key, default in entry}


def _depend(value: Any, found: dict[str, Rule]) -> Any:
    if isinstance(value, str):
        return found[value].get("depend")
    words = dict(value)
    return {"option": words["option"], "values": words.get("list"), "default": words.get("default")}


def _deprecated(value: Pairs) -> list[list[Any]]:
    """[name, whether it stands without a number, whether with one]."""
    found: dict[str, list[Any]] = {}
    for name, _ in value:
        entry = found.setdefault(name.replace("?", "", 1), [name.replace("?", "", 1), False, False])
        entry[2 if "?" in name else 1] = True
    return [found[name] for name in sorted(found)]


def _commands(value: Any, found: dict[str, Rule], roles: dict[str, set[str]]) -> dict[str, Rule]:
    if isinstance(value, str):
        return dict(found[value]["commands"])
    chosen: dict[str, Rule] = {}
    for command, detail in value:
        if command == "+inherit":
            chosen.update({name: {} for name in found[detail]["commands"]})
        elif command == "+role":
            chosen.update(
                {name: {} for name in roles if name not in SKIPPED and (detail == "any" or detail in roles[name])}
            )
        elif command == "-command":
            chosen.pop(detail, None)
        else:
            own: Rule = {}
            for key, inner in detail:
                _apply(own, key, inner, found, roles)
            chosen[command] = own
    return chosen


_FLAGS = frozenset({"required", "secure", "beta", "bool-like", "negate", "internal"})
_TEXTS = frozenset({"section", "group", "type", "default-type"})
_READERS: dict[str, tuple[str, Callable[[Any, dict[str, Rule]], Any]]] = {
    "command-role": ("roles", lambda value, _: [role for role, _ in value]),
    "allow-list": (
        "allowed",
        lambda value, found: (
            found[value].get("allowed") if isinstance(value, str) else [_choice(item) for item in value]
        ),
    ),
    "allow-range": ("range", lambda value, _: _mapped(value)),
    "default": ("default", lambda value, _: None if value == "~" else _default(value)),
    "default-literal": ("default-type", lambda value, _: "literal" if value == "true" else "quote"),
    "depend": ("depend", _depend),
    "deprecate": ("deprecated", lambda value, _: _deprecated(value)),
}


def _release(table: dict[str, Rule]) -> None:
    for name, said in RELEASED_LATER.items():
        if name not in table:
            rule = {key: value for key, value in said.items() if key != "commands"}
            rule["negate"] = said.get("negate", False)
            rule["commands"] = (
                {command: {} for command in said["commands"]}
                if "commands" in said
                else dict(table["repo-path"]["commands"])
            )
            table[name] = rule
    key_type = table["repo-gcs-key-type"]
    if "web-id" not in key_type["allowed"]:
        key_type["allowed"] = [*key_type["allowed"], "web-id"]


def _flat(rule: Rule) -> Rule:
    """A rule as it is kept: for the main role alone, without what goes without saying."""
    kept: Rule = {"section": rule["section"], "type": rule["type"]}
    own = {command: said for command, said in rule["commands"].items() if _is_main(rule, said)}
    kept["commands"] = sorted(own)
    for key in ("group", "allowed", "range", "default", "depend", "deprecated"):
        if rule.get(key) is not None:
            kept[key] = rule[key]
    kept |= {key: True for key in ("secure", "beta", "negate", "internal") if rule.get(key)}
    if rule.get("required") is False:
        kept["required"] = False
    if rule.get("default-type") == "dynamic":
        kept["default"] = "pgbackrest"
    if rule.get("default-type") == "literal":
        kept["default"] = LITERALS[kept["default"]]
    apart = {command: _apart(said) for command, said in own.items() if _apart(said)}
    return {**kept, "apart": apart} if apart else kept


def _apart(said: Rule) -> Rule:
    return {key: said[key] for key in ("required", "default", "depend", "allowed") if key in said}


def _is_main(rule: Rule, said: Rule) -> bool:
    roles = said.get("roles") or rule.get("roles")
    return roles is None or "main" in roles


def _epochs(tables: dict[str, dict[str, Rule]], name: str) -> Iterator[Rule]:
    """The rule with each version that changed it; one that is gone leaves {"gone": true}."""
    before: Rule | None = None
    for version, table in tables.items():
        now = _flat(table[name]) if name in table else None
        if now == before:
            continue
        yield {"since": version, **(now if now is not None else {"gone": True})}
        before = now


def _write(tables: dict[str, dict[str, Rule]], commands: dict[str, list[str]]) -> None:
    names = sorted({name for table in tables.values() for name in table})
    sets: list[list[str]] = []
    lines = []
    for name in names:
        epochs = list(_epochs(tables, name))
        for epoch in epochs:
            if "commands" in epoch:
                if epoch["commands"] not in sets:
                    sets.append(epoch["commands"])
                epoch["commands"] = sets.index(epoch["commands"])
        lines.append(f"  {json.dumps(name)}: {json.dumps(epochs)}")
    about = {
        "source": "config.yaml of every release from 2.45 to 2.59.1; 2.60.0 from its development and its help",
        "option": "one rule for each version that changed it; since: the first version of the rule",
        "commands": "an index into command_sets: the commands whose main process takes the option",
        "apart": "what one command says otherwise",
        "depend": "it counts only where the other option has one of the values (null: any); default: elsewhere",
        "deprecated": "older names: [name, without a number, with one]",
    }
    versions = list(commands)
    changed = {
        version: names for version, names in commands.items() if names != commands.get(_previous(version, versions))
    }
    text = (
        "{\n"
        f' "_meta": {json.dumps(about, indent=2)},\n'
        f' "commands": {json.dumps(changed)},\n'
        ' "command_sets": [\n' + ",\n".join(f"  {json.dumps(one)}" for one in sets) + "\n ],\n"
        ' "options": {\n' + ",\n".join(lines) + "\n }\n}\n"
    )
    TARGET.write_text(text, encoding="utf-8")


def _previous(version: str, versions: list[str]) -> str:
    index = versions.index(version)
    return versions[index - 1] if index else ""


if __name__ == "__main__":
    main()
