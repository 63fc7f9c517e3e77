"""What an engine cannot do of the spec, as an entry of a table. It knows no engine: each has a table of its own."""

from __future__ import annotations

from collections.abc import Callable

from pgwrap.domain.model import Cluster, Path
from pgwrap.engines.port import EngineVersion, Remark, RemarkSeverity
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A word of the spec that an engine, or some versions of it, has nothing for, with the reason."""

    path: Path
    """The word's path below the cluster."""
    said: Callable[[Cluster], bool]
    """Whether the cluster asks for it."""
    severity: RemarkSeverity
    message: str
    hint: str = ""
    """The nearest thing that works."""
    since: EngineVersion | None = None
    """The first version with this limit; None: all have it."""
    until: EngineVersion | None = None
    """The first version without it; None: none is."""

    def applies(self, cluster: Cluster, version: EngineVersion) -> bool:
        """Whether this version has the limit, and the cluster meets it."""
        begun = self.since is None or version >= self.since
        over = self.until is not None and version >= self.until
        return begun and not over and self.said(cluster)

    def remark(self, cluster: Cluster) -> Remark:
        """What to say of the cluster's word."""
        path = (*cluster.spec_path, *self.path)
        return Remark(path=path, severity=self.severity, message=self.message, hint=self.hint)
