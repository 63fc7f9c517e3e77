"""Run by Barman's own Python: prints as JSON what Barman makes of a main file and a directory of further ones.

Barman's code decides everything. Nothing is logged, connected to or run, and no user is changed; servers are built as
every command builds them. Usage: python3 barman_view.py MAIN DIRECTORY
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any, NoReturn

import barman  # type: ignore[import-not-found] # Barman's own Python has it
import barman.cli  # type: ignore[import-not-found]
import barman.config  # type: ignore[import-not-found]
import psycopg2  # type: ignore[import-not-found,import-untyped,unused-ignore]
from barman.retention_policies import (  # type: ignore[import-not-found]
    RecoveryWindowRetentionPolicy,
    RedundancyRetentionPolicy,
)
from barman.server import Server  # type: ignore[import-not-found]

_GLOBALS = {
    "barman_home": "barman_home",
    "barman_user": "user",
    "barman_lock_directory": "barman_lock_directory",
    "lock_directory_cleanup": "lock_directory_cleanup",
    "config_changes_queue": "config_changes_queue",
    "log_file": "log_file",
    "log_format": "log_format",
    "log_level": "log_level",
}
_DAYS = {"d": 1, "w": 7, "m": 31}


def main(main_file: str, directory: str) -> None:
    """One JSON object on standard output, also when Barman refuses."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            found = _view(main_file, directory)
    except SystemExit as error:
        found = {"accepted": False, "reason": str(error.code)}
    except Exception as error:  # noqa: BLE001 - Barman itself catches everything, and exits with 1
        found = {"accepted": False, "reason": f"{type(error).__name__}: {error}"}
    said.seek(0)
    json.dump({**found, "said": said.read()}, sys.stdout)


def _view(main_file: str, directory: str) -> dict[str, Any]:
    psycopg2.connect = _unreachable
    barman.cli.drop_privileges = lambda _user: None
    barman.cli.configure_logging = lambda *_arguments, **_named: None
    get = barman.config.Config.get

    def with_directory(self: Any, section: str, option: str, *arguments: Any, **named: Any) -> Any:
        if (section, option) == ("barman", "configuration_files_directory"):
            return directory
        return get(self, section, option, *arguments, **named)

    barman.config.Config.get = with_directory
    barman.cli.global_config(
        argparse.Namespace(config=main_file, format="console", quiet=False, debug=False, color="never", command="x")
    )
    config = barman.__config__
    servers = {}
    for server in config.servers():
        Server(server)
        keys = [key for key in server.KEYS if key != "disabled"]
        options = {key: _plain(getattr(server, key)) for key in keys}
        servers[server.name] = {
            "options": {key: value for key, value in options.items() if value is not None},
            "disabled": bool(server.disabled),
            "messages": list(server.msg_list),
        }
    if config.servers_msg_list:
        return {"accepted": False, "reason": "; ".join(config.servers_msg_list)}
    return {
        "accepted": True,
        "barman": {key: _plain(getattr(config, name, None)) for key, name in _GLOBALS.items()},
        "servers": servers,
        "models": {model.name: _model(model) for model in getattr(config, "models", tuple)()},
    }


def _unreachable(*_arguments: Any, **_named: Any) -> NoReturn:
    """No server that a configuration names is asked for anything."""
    raise psycopg2.OperationalError("nothing is reached from here")


def _model(model: Any) -> dict[str, Any]:
    options = {key: _plain(getattr(model, key)) for key in model.KEYS}
    return {key: value for key, value in options.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, RedundancyRetentionPolicy):
        return {"policy": f"REDUNDANCY {value.value}"}
    if isinstance(value, RecoveryWindowRetentionPolicy):
        return {"policy": f"RECOVERY WINDOW OF {value.value * _DAYS[value.unit]} DAYS"}
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, dict):
        return [f"{key}:{value[key]}" for key in sorted(value)]
    return value if value is None or isinstance(value, bool | int | str | list) else str(value)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
