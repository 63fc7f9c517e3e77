"""The drift of native files as status tells it: from files alone, once for each installation. It asks no engine."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from pgwrap.domain.facts import Finding, FindingCode, Observation, Severity
from pgwrap.domain.model import Cluster, EngineInstance, Fleet, Secret
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import PgwrapError
from pgwrap.ops.foretelling import version_of
from pgwrap.ops.standing import Installation, unchanged
from pgwrap.ops.versions import VersionChoice
from pgwrap.ops.world import World, by_instance, owned

_LOG = logging.getLogger("pgwrap.drifting")


def drift_notes(
    fleet: Fleet, clusters: tuple[Cluster, ...], observed: Mapping[str, Observation], world: World
) -> dict[str, tuple[Finding, ...]]:
    """For each cluster whose files here are not what the spec says, a finding; other hosts' files are left out."""
    notes: dict[str, tuple[Finding, ...]] = {}
    for instance, members in by_instance(clusters).items():
        read = [observed[cluster.name] for cluster in members if observed[cluster.name].read]
        if instance.host is not None or not read:
            continue
        try:
            version = version_of(read[0], world.engine(instance).newest)
            findings = dict(_installation(fleet, instance, members, version, world))
        except Exception as error:  # noqa: BLE001 - a defect in comparing files must not hide what the engines said
            _LOG.exception("comparing the files of %s", instance.name)
            findings = {cluster.name: _defect(error) for cluster in members}
        notes |= {name: (found,) for name, found in findings.items() if not _overridden(observed[name])}
    return notes


def _defect(error: Exception) -> Finding:
    return Finding(
        code=FindingCode.CONFIG_DRIFT,
        severity=Severity.UNKNOWN,
        message=f"the native files could not be compared ({type(error).__name__})",
        hint="this is a defect of pgwrap: the log has the details",
    )


def _overridden(observation: Observation) -> bool:
    """Whether the engine itself says that something overrides its files."""
    return any(finding.code is FindingCode.CONFIG_DRIFT for finding in observation.findings)


def _installation(
    fleet: Fleet, instance: EngineInstance, clusters: tuple[Cluster, ...], version: EngineVersion, world: World
) -> Iterator[tuple[str, Finding]]:
    members = owned(by_instance(fleet.clusters).get(instance, clusters), world)
    if unchanged(Installation(fleet=fleet, instance=instance, members=members, version=version), world):
        return
    from pgwrap.domain.drift import InstallationDrift  # noqa: PLC0415 - all this is for the rare case that it differs
    from pgwrap.domain.verdicts.drift import drift_finding  # noqa: PLC0415
    from pgwrap.ops.drift import Wanted, drift  # noqa: PLC0415
    from pgwrap.ops.render import render_installation  # noqa: PLC0415

    try:
        choice = VersionChoice(version=version)
        rendered = render_installation(fleet, instance, members, choice, world, secret=_no_secret)
        wanted = Wanted(
            fleet=fleet,
            instance=instance,
            clusters=clusters,
            members=members,
            rendered=rendered,
            version=version,
            user=members[0].run_as,
            with_secrets=False,
            brief=True,
        )
        found = drift(wanted, world).drift
    except PgwrapError as error:
        _LOG.info("comparing %s: %s", instance.name, error.message)
        names = tuple(cluster.name for cluster in clusters)
        found = InstallationDrift(
            name=instance.name, engine=instance.kind.value, host=None, clusters=names, unknown=error.message
        )
    for cluster in clusters:
        finding = drift_finding(cluster.name, found)
        if finding is not None:
            yield cluster.name, finding


def _no_secret(secret: Secret) -> str:  # noqa: ARG001 - whichever it is
    """Files are compared with their secrets masked, so that status need not resolve any."""
    return "secret"
