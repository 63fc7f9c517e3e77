"""Runs the programs that the spec names around an action, with their context on stdin. It judges nothing they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pgwrap.domain.command import Command
from pgwrap.domain.hooks import HookContext, program_for
from pgwrap.domain.model import Cluster, EngineKind
from pgwrap.errors import HookFailed
from pgwrap.ops.world import World
from pgwrap.records import dataclass

BARMANS_OWN = ("before_backup", "after_backup")
"""Rendered as scripts of Barman's, which runs them itself, also for backups that pgwrap did not start."""
_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Runs the spec's programs; `encode` makes the JSON that they read, `deadline` is in seconds for each."""

    world: World
    encode: Callable[[HookContext], bytes]
    deadline: float = 300.0

    def run(self, cluster: Cluster, context: HookContext) -> None:
        """Run the program of an event, if there is one that pgwrap runs; HookFailed when it did not end with 0 in time.

        Before and after a backup it runs as the engine does: on its host, as its user. After a failure, which may be
        that the host cannot be reached, it runs here.
        """
        argv = program_for(cluster, context.event)
        if argv is None or (cluster.engine.kind is EngineKind.BARMAN and context.event in BARMANS_OWN):
            return
        outcome = self.world.runner.run(self._command(cluster, context, argv))
        if outcome.succeeded:
            return
        said = outcome.error_text().strip()[-_SHOWN:]
        how = outcome.message or f"it ended with {outcome.exit_code}"
        raise HookFailed(
            f"the {context.event} program failed: {how}" + (f": {said}" if said else ""),
            hint=f"try by hand: {outcome.command.quoted()}",
            cluster=cluster.name,
            engine_exit=outcome.exit_code,
        )

    def _command(self, cluster: Cluster, context: HookContext, argv: tuple[str, ...]) -> Command:
        command = Command(
            argv=argv,
            run_as=self.world.user_for(cluster),
            host=cluster.engine.host,
            deadline=self.deadline,
            environment=(("PGWRAP_EVENT", context.event), ("PGWRAP_CLUSTER", cluster.name)),
            stdin=self.encode(context),
        )
        elsewhere = context.event == "on_failure" and cluster.engine.host is not None
        return replace(command, host=None, run_as=None) if elsewhere else command
