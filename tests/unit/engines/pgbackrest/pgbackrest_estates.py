"""Estates whose rendered files are kept as golden files: each shows another part of what the spec can say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    Encryption,
    EngineInstance,
    EngineKind,
    NativeOption,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    Tls,
    WalPolicy,
)
from pgwrap.engines.port import EngineVersion, RenderRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The clusters of one installation, and the engine's version."""

    version: str
    clusters: tuple[Cluster, ...]


def secret(name: str) -> Secret:
    """A reference to an environment variable."""
    return Secret(kind="env", value=(name,))


def resolve(reference: Secret) -> str:
    """A throwaway value for each reference."""
    return f"value-of-{reference.value[0]}"


def request(estate: Estate) -> RenderRequest:
    """What the engine is asked for."""
    return RenderRequest(
        instance=estate.clusters[0].engine,
        clusters=estate.clusters,
        version=EngineVersion.parse(estate.version),
        secret=resolve,
        spec_file="/etc/pgwrap/pgwrap.yaml",
    )


PLAIN = EngineInstance(
    name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/etc/pgbackrest/pgbackrest.conf"
)
FULL = replace(
    PLAIN,
    name="backup-host",
    include="/etc/pgbackrest/conf.d",
    log_directory="/var/log/pgbackrest",
    lock_directory="/run/pgbackrest",
    options=(
        NativeOption(key="log-level-file", values=("detail",)),
        NativeOption(key="buffer-size", values=("8MiB",)),
        NativeOption(key="process-max", values=("2",), section="restore"),
    ),
)
LOCAL = Repository(name="local", path="/var/lib/pgbackrest")
OFFSITE = Repository(
    name="offsite",
    type="s3",
    path="/pg",
    bucket="acme-pg",
    endpoint="s3.eu-west-1.example.net",
    region="eu-west-1",
    uri_style="path",
    verify_tls=False,
    port=9000,
    ca_file="/etc/ssl/store.crt",
    credentials=(("key", secret("S3_KEY")), ("secret", secret("S3_SECRET")), ("token", secret("S3_TOKEN"))),
    encryption=Encryption(cipher="aes-256-cbc", passphrase=secret("PASSPHRASE")),
    bundle=True,
    block_incremental=True,
    retention=RetentionPolicy(window_days=90, history_days=365),
    options=(NativeOption(key="storage-upload-chunk-size", values=("16MiB",)),),
)


def _cluster(name: str, **words: object) -> Cluster:
    base = Cluster(
        name=name,
        engine=PLAIN,
        engine_name=name,
        run_as="postgres",
        postgres=PostgresTarget(data_directory=f"/var/lib/postgresql/15/{name}", socket_directory="/run/postgresql"),
        repositories=(LOCAL,),
        retention=RetentionPolicy(full=2),
    )
    return replace(base, **words)  # type: ignore[arg-type]


ORDERS = _cluster(
    "orders",
    repositories=(LOCAL, OFFSITE),
    backup=BackupPolicy(
        parallel=4,
        compression="zst",
        compression_level=6,
        source="standby",
        checkpoint="fast",
        resume=False,
        exclude=("pgsql_tmp/", "base/16384/"),
        checksum_page=True,
    ),
    wal=WalPolicy(
        asynchronous=True,
        compression="lz4",
        parallel=2,
        spool="/var/spool/pgbackrest",
        queue_maximum=4 << 30,
        timeout=120,
    ),
    standbys=(PostgresTarget(data_directory="/var/lib/postgresql/15/orders", ssh=RemoteHost(address="standby1")),),
    retention=RetentionPolicy(full=4, differential=6, wal=2, wal_type="full"),
    options=(
        NativeOption(key="delta", values=("y",)),
        NativeOption(key="recovery-option", values=("primary_conninfo=host=a", "restore_command=x"), section="restore"),
        NativeOption(key="archive-get-queue-max", values=("1GiB",), section="archive-get"),
    ),
)
STORES = (
    Repository(name="nas", type="cifs", path="/mnt/nas"),
    Repository(
        name="google",
        type="gcs",
        path="/pg",
        bucket="acme",
        endpoint="storage.example.net",
        key_type="service",
        credentials=(("key", Secret(kind="file", value=("/etc/pgbackrest/google.json",))),),
    ),
    Repository(
        name="azure",
        type="azure",
        path="/pg",
        container="pg",
        account="acme",
        key_type="sas",
        uri_style="host",
        credentials=(("key", secret("SAS")),),
    ),
    Repository(
        name="ssh",
        type="sftp",
        key=12,
        path="/pg",
        sftp_host="box.example.net",
        sftp_user="pg",
        sftp_port=2222,
        private_key_file="/etc/pgbackrest/id",
        public_key_file="/etc/pgbackrest/id.pub",
        host_key_hash="sha256",
        host_fingerprint="f84e172dfead7aeeeae6c1fdfb5aa8cf",
        credentials=(("passphrase", secret("KEY_PASSPHRASE")),),
        retention=RetentionPolicy(),
    ),
)
TLS = Tls(ca_file="/etc/pgbackrest/ca.crt", cert_file="/etc/pgbackrest/me.crt", key_file="/etc/pgbackrest/me.key")
VAULT = replace(
    OFFSITE,
    name="vault",
    type="posix",
    path="/srv/backups",
    bucket=None,
    endpoint=None,
    region=None,
    uri_style=None,
    verify_tls=None,
    port=None,
    ca_file=None,
    credentials=(),
    options=(),
    host=RemoteHost(address="vault.example.net", user="backup", transport="tls", port=8433, tls=TLS),
)
SPLIT = _cluster(
    "sales",
    engine=FULL,
    run_as="backup",
    repositories=(VAULT,),
    postgres=PostgresTarget(
        data_directory="/var/lib/postgresql/17/sales",
        port=5433,
        user="postgres",
        database="postgres",
        ssh=RemoteHost(address="db1.example.net", user="postgres", port=2200, config="/etc/pgbackrest.conf"),
    ),
    standbys=(
        PostgresTarget(
            data_directory="/var/lib/postgresql/17/sales",
            ssh=RemoteHost(address="db2.example.net", transport="tls", tls=TLS, command="/opt/pgbackrest"),
        ),
    ),
    backup=BackupPolicy(source="prefer-standby"),
)
BILLING = _cluster("billing", retention=RetentionPolicy(window_days=14))
ODD = _cluster("ünïcode stanza", repositories=(replace(LOCAL, path="/srv/a#b [c]=d;é"),), retention=RetentionPolicy())

ESTATES: Mapping[str, Estate] = {
    "one_cluster": Estate(version="2.60.0", clusters=(ORDERS,)),
    "shared_repositories": Estate(version="2.45", clusters=(_cluster("zebra"), BILLING, _cluster("alpha"))),
    "own_repositories": Estate(version="2.45", clusters=(BILLING, replace(ORDERS, standbys=(), backup=BackupPolicy()))),
    "every_store": Estate(version="2.60.0", clusters=(_cluster("stores", repositories=STORES),)),
    "both_sides": Estate(version="2.55.1", clusters=(SPLIT,)),
    "remote_repository": Estate(
        version="2.55.1", clusters=(replace(SPLIT, postgres=replace(SPLIT.postgres, ssh=None), standbys=()),)
    ),
    "odd_names": Estate(version="2.45", clusters=(ODD,)),
}
