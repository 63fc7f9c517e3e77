"""Which differences between two readings are no change of meaning: the one place where that is decided.

What it names is shown to the operator as moved, never hidden.
"""

from __future__ import annotations

from pgwrap.domain.native import Difference, Effective, Reading

_SERVERS = "configuration_files_directory"


def moved(difference: Difference, before: Reading) -> str | None:
    """Why the difference changes nothing for any server or stanza; None when it may."""
    if difference.subject == "" and difference.option == _SERVERS:
        return "pgwrap writes a file for each server, into a directory that the main file names"
    if difference.subject == "" and difference.commands and difference.option.startswith("repo"):
        return _from_the_stanzas(difference, before)
    return None


def _from_the_stanzas(difference: Difference, before: Reading) -> str | None:
    """What every stanza said alike stands in [global] afterwards, where commands without a stanza see it, too."""
    if difference.before is not None and difference.before.place is not None:
        return None
    said = _in_stanzas(difference.option, difference.commands, before)
    after = difference.after.values if difference.after is not None else None
    if not said or {option.values if option is not None else None for option in said} != {after}:
        return None
    return "every stanza says so; now it holds for commands without a stanza as well"


def _in_stanzas(option: str, commands: tuple[str, ...], before: Reading) -> list[Effective | None]:
    """The option in each stanza, for those of the commands that can be called for one."""
    return [
        view.options.get(option)
        for view in before.views
        if view.subject and (view.command in commands or view.command == "info")
    ]
