"""The status use case: every engine and server is asked, and what fails stays with its cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgwrap.domain.command import Command, Conversation, Outcome
from pgwrap.domain.facts import FindingCode, Observation, PostgresView, Severity
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, PostgresTarget, Secret
from pgwrap.domain.plan import ClusterSettings, WriteFile
from pgwrap.domain.retention import Forecast
from pgwrap.engines.port import EngineVersion, ForecastRequest, ObserveRequest
from pgwrap.errors import Problem, SpecError
from pgwrap.ops.status import StatusOptions, status
from pgwrap.ops.world import World
from pgwrap.system.port import PostgresQuestion

OLDEST, NEWEST = EngineVersion((1,)), EngineVersion((9,))
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LOCAL = EngineInstance(name="one", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/one.conf")
BROKEN = EngineInstance(name="two", kind=EngineKind.BARMAN, command="barman", config="/two.conf")
REMOTE = EngineInstance(name="far", kind=EngineKind.BARMAN, command="barman", config="/far.conf", host="backup1")


@dataclass
class Echo:
    """An engine that asks one question and reports who it asked for."""

    kind: EngineKind = EngineKind.PGBACKREST
    oldest: EngineVersion = OLDEST
    newest: EngineVersion = NEWEST

    def default_user(self, cluster: Cluster) -> str | None:
        return None

    def owned_paths(self, cluster: Cluster) -> tuple[str, ...]:
        return ("/repository",)

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        return ClusterSettings(cluster=cluster.name, settings=())

    def forecast(self, _request: ForecastRequest) -> tuple[Forecast, ...]:
        return ()

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        (outcome,) = yield (Command(argv=("echo", request.instance.name)),)
        return tuple(
            Observation(engine="pgbackrest", engine_name=cluster.engine_name, engine_version=outcome.text())
            for cluster in request.clusters
        )


class Odd(Echo):
    """An engine of a version that no release had, and whose settings pgwrap computes wrongly."""

    def settings(self, cluster: Cluster, version: EngineVersion) -> ClusterSettings:
        assert version == self.newest
        raise ZeroDivisionError

    def forecast(self, request: ForecastRequest) -> tuple[Forecast, ...]:
        assert request.version == self.newest
        return ()

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield (Command(argv=("echo",)),)
        return tuple(
            Observation(engine="barman", engine_name=cluster.engine_name, engine_version="four")
            for cluster in request.clusters
        )


class Defective(Echo):
    """An engine whose reader has a defect."""

    def observe(self, request: ObserveRequest) -> Conversation[tuple[Observation, ...]]:
        yield (Command(argv=("echo",)),)
        raise ZeroDivisionError


@dataclass
class Recorder:
    """A runner that answers every command with a version and remembers what was asked."""

    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, command: Command, on_line: object = None) -> Outcome:
        self.asked.append(command.argv)
        return Outcome(command=command, exit_code=0, stdout=b"2.45")

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        return tuple(self.run(command) for command in commands)


class NoFiles:
    """A file door to an empty disk whose one directory belongs to postgres."""

    def read(self, path: str) -> str | None:
        return None

    def write(self, file: WriteFile) -> None:
        raise AssertionError(f"status writes nothing, yet {file.path}")

    def owner(self, path: str) -> str | None:
        return "postgres" if path == "/repository" else None

    @contextmanager
    def private_directory(self, owner: str | None) -> Iterator[str]:
        raise AssertionError("nothing to fetch")
        yield ""


@dataclass
class Servers:
    """A PostgreSQL door that remembers its questions and answers each the same."""

    asked: list[PostgresQuestion] = field(default_factory=list)

    def look(self, questions: tuple[PostgresQuestion, ...], deadline: float) -> dict[str, PostgresView]:
        self.asked.extend(questions)
        return {question.key: PostgresView(reachable=True, version="15.18") for question in questions}


class NoPrograms:
    """A machine without PostgreSQL's programs."""

    def postgres(self, program: str, major: str) -> str | None:
        return None


def no_secret(secret: Secret) -> str:
    """A secret reader to whom every variable is unset."""
    raise SpecError((Problem(message=f"the environment variable {secret.value[0]} is not set"),))


def world(runner: Recorder, servers: Servers, barman: type[Echo] = Defective) -> World:
    """A world of fakes."""
    return World(
        runner=runner,
        files=NoFiles(),
        postgres=servers,
        programs=NoPrograms(),
        secret=no_secret,
        masked=no_secret,
        engines={EngineKind.PGBACKREST: Echo, EngineKind.BARMAN: barman},
    )


def look(*clusters: Cluster, options: StatusOptions | None = None) -> tuple[object, Recorder, Servers]:
    """Run the use case over these clusters."""
    runner, servers = Recorder(), Servers()
    fleet = Fleet(clusters=clusters, state="/nowhere")
    answer = status(fleet, clusters, world(runner, servers), now=NOW, options=options or StatusOptions())
    return answer, runner, servers


def cluster(name: str, engine: EngineInstance = LOCAL, **fields: object) -> Cluster:
    """A cluster of that engine."""
    return Cluster(name=name, engine=engine, engine_name=name, **fields)  # type: ignore[arg-type]


def test_a_defect_in_one_engine_leaves_the_other_clusters_readable() -> None:
    """The broken reader's cluster is unknown with a cause; the other one was read."""
    answer, _, _ = look(cluster("good"), cluster("bad", BROKEN))
    good, bad = answer.clusters
    assert good.engine_version == "2.45"
    assert bad.severity is Severity.UNKNOWN
    assert FindingCode.OUTPUT_NOT_UNDERSTOOD in {finding.code for finding in bad.findings}


def test_a_defect_in_judging_one_cluster_leaves_the_others_judged() -> None:
    """An absurd version, and a reader's mistake after it, stay with their cluster."""
    clusters = (cluster("good"), cluster("odd", BROKEN))
    fleet = Fleet(clusters=clusters, state="/nowhere")
    answer = status(fleet, clusters, world(Recorder(), Servers(), Odd), now=NOW, options=StatusOptions())
    good, odd = answer.clusters
    assert good.engine_version == "2.45"
    assert odd.severity is Severity.UNKNOWN
    assert FindingCode.OUTPUT_NOT_UNDERSTOOD in {finding.code for finding in odd.findings}


def test_one_installation_is_asked_once_for_all_its_clusters() -> None:
    """The number of engine processes does not grow with the clusters of an installation."""
    _, runner, _ = look(cluster("a"), cluster("b"), cluster("c"))
    assert [("echo", "one")] == runner.asked


def test_local_leaves_other_hosts_out_and_says_so() -> None:
    """`--local` neither asks nor judges a cluster whose engine runs elsewhere."""
    answer, runner, _ = look(cluster("here"), cluster("there", REMOTE), options=StatusOptions(local=True))
    assert ("there",) == answer.left_out
    assert ["here"] == [one.name for one in answer.clusters]
    assert [("echo", "one")] == runner.asked


def test_postgres_is_asked_as_the_owner_of_the_repository() -> None:
    """Peer authentication and .pgpass work because the question is put by the user the engine runs as."""
    target = PostgresTarget(socket_directory="/run/postgresql", port=5433, user="monitor")
    _, _, servers = look(cluster("a", postgres=target))
    (question,) = servers.asked
    assert ("/run/postgresql", 5433, "monitor", "postgres") == (
        question.host,
        question.port,
        question.user,
        question.run_as,
    )


def test_a_server_is_not_asked_when_the_spec_does_not_say_how() -> None:
    """Without a host or socket directory PostgreSQL's own view is null."""
    answer, _, servers = look(cluster("a"))
    assert [] == servers.asked
    assert answer.clusters[0].postgres is None


def test_a_password_that_cannot_be_had_is_a_finding() -> None:
    """An unresolved secret makes the server unreachable, and nothing else."""
    target = PostgresTarget(host="db1", password=Secret(kind="env", value=("PGPASS_A",)))
    answer, _, servers = look(cluster("a", postgres=target))
    assert [] == servers.asked
    view = answer.clusters[0].postgres
    assert view is not None
    assert not view.reachable
    assert "PGPASS_A" in str(view.error)
