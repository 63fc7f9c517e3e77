"""The command lines by which pgBackRest is asked something. Nothing is run, and no output is read here."""

from __future__ import annotations

from pathlib import PurePosixPath

from pgwrap.domain.command import Command
from pgwrap.domain.model import Cluster, EngineInstance

QUIET = ("--log-level-console=off", "--log-level-file=off", "--log-level-stderr=error")
"""For commands whose stdout is data: errors go to stderr, no log file is touched."""


def configuration_arguments(instance: EngineInstance) -> tuple[str, ...]:
    """Where pgBackRest finds its configuration.

    `--config` alone switches the include directory off, and `--config-include-path` fails with [073] when its
    directory does not exist. `--config-path` names the directory *around* `conf.d` and lets it be absent, so it is
    used wherever the include directory bears that name (pgBackRest's src/config/parse.c, seen on 2.45 and 2.55.1).
    """
    config = f"--config={instance.config}"
    if instance.include is None:
        return (config,)
    include = PurePosixPath(instance.include)
    if include.name == "conf.d":
        return (config, f"--config-path={include.parent}")
    return (config, f"--config-include-path={include}")


def version_command(instance: EngineInstance, run_as: str | None, deadline: float) -> Command:
    """Ask which version is installed; it reads no configuration."""
    return Command(
        argv=(instance.command, "version"),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def info_command(instance: EngineInstance, stanza: str | None, run_as: str | None, deadline: float) -> Command:
    """Ask for the catalog of one stanza, or of every stanza found in the repositories of the global section."""
    named = () if stanza is None else (f"--stanza={stanza}",)
    return Command(
        argv=(instance.command, *configuration_arguments(instance), *named, *QUIET, "--output=json", "info"),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def archive_listing_command(cluster: Cluster, key: int, run_as: str | None, deadline: float) -> Command:
    """List every archived file of the cluster in repository `key`; one process, however many there are."""
    return _repository_command(
        cluster,
        key,
        ("--output=json", "--recurse", "repo-ls", f"archive/{cluster.engine_name}"),
        run_as,
        deadline,
    )


def common_listing_command(instance: EngineInstance, key: int, run_as: str | None, deadline: float) -> Command:
    """List every archived file of every stanza in repository `key` of the global section; one process for all."""
    words = (f"--repo={key}", *QUIET, "--output=json", "--recurse", "repo-ls", "archive")
    return Command(
        argv=(instance.command, *configuration_arguments(instance), *words),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def history_command(cluster: Cluster, key: int, path: str, run_as: str | None, deadline: float) -> Command:
    """Read the timeline history file at `path` (below the stanza's archive) of repository `key`."""
    return _repository_command(cluster, key, ("repo-get", f"archive/{cluster.engine_name}/{path}"), run_as, deadline)


def _repository_command(
    cluster: Cluster, key: int, arguments: tuple[str, ...], run_as: str | None, deadline: float
) -> Command:
    instance = cluster.engine
    return Command(
        argv=(
            instance.command,
            *configuration_arguments(instance),
            f"--stanza={cluster.engine_name}",
            f"--repo={key}",
            *QUIET,
            *arguments,
        ),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )
