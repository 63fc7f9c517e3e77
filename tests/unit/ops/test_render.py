"""What `render` adds to the engines' own files: the settings file, native paths under a directory."""

from __future__ import annotations

from pgwrap.domain.model import Cluster, EngineInstance, EngineKind, Fleet, PostgresTarget, Repository, Secret
from pgwrap.domain.plan import ClusterSettings, PostgresSetting, Slot, WriteFile
from pgwrap.ops.render import settings_file, under

FLEET = Fleet(clusters=(), state="/var/lib/pgwrap", files=("/etc/pgwrap/pgwrap.yaml",))


def text_of(setting: PostgresSetting, *slots: Slot) -> str:
    """The settings file for a cluster that needs this."""
    return settings_file(FLEET, ClusterSettings(cluster="orders", settings=(setting,), slots=slots)).text


def test_a_setting_is_assigned_with_its_reason() -> None:
    """What has one right value is written so that PostgreSQL takes it."""
    setting = PostgresSetting(name="archive_mode", value="on", restart=True, reason="WAL is archived")
    assert "# WAL is archived (needs a restart)\narchive_mode = 'on'\n" in text_of(setting)


def test_a_lower_bound_lowers_nothing() -> None:
    """`max_wal_senders = 3` would lower the default of 10, so it is only said."""
    setting = PostgresSetting(name="max_wal_senders", value="3", restart=True, reason="streams", minimum=True)
    assert "\n#max_wal_senders = 3\n" in text_of(setting)


def test_a_bound_above_the_default_is_assigned() -> None:
    """What the default does not meet has to be set."""
    setting = PostgresSetting(name="max_wal_senders", value="12", restart=True, reason="streams", minimum=True)
    assert "\nmax_wal_senders = 12\n" in text_of(setting)


def test_quotes_and_backslashes_stay_text() -> None:
    """No value can end its quotes or escape anything in postgresql.conf."""
    setting = PostgresSetting(name="archive_command", value=r"it's a \ %p", restart=False, reason="archiving")
    assert r"archive_command = 'it''s a \\ %p'" in text_of(setting)


def test_a_slot_is_named_with_its_creator() -> None:
    """Who creates the slot is said, since PostgreSQL has no setting for it."""
    setting = PostgresSetting(name="wal_level", value="replica", restart=True, reason="backups", minimum=True)
    assert "slot barman: created by Barman's cron" in text_of(setting, Slot(name="barman", created_by="Barman's cron"))


def test_a_directory_holds_native_paths() -> None:
    """`--to DIR` works like DESTDIR; `--to /` puts files in place."""
    file = WriteFile(path="/etc/barman.conf", text="")
    assert ("/out/etc/barman.conf", "/etc/barman.conf") == (under("/out", file).path, under("/", file).path)


def test_a_secret_is_found_at_its_place_in_the_spec() -> None:
    """What cannot be resolved is said with the path of the reference, so that it gets a line and column."""
    key, password = Secret(kind="env", value=("S3_KEY",)), Secret(kind="env", value=("PG",))
    repository = Repository(name="offsite", type="s3", credentials=(("key", key),))
    instance = EngineInstance(name="pgbackrest", kind=EngineKind.PGBACKREST, command="pgbackrest", config="/p.conf")
    cluster = Cluster(
        name="orders",
        engine=instance,
        engine_name="orders",
        postgres=PostgresTarget(password=password),
        repositories=(repository,),
    )
    fleet = Fleet(clusters=(cluster,))
    assert fleet.path_of(key) == ("repositories", "offsite", "credentials", "key")
    assert fleet.path_of(password) == ("clusters", "orders", "postgres", "password")
    assert fleet.path_of(Secret(kind="env", value=("OTHER",))) is None
