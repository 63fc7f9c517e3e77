"""What PostgreSQL is asked. It holds the statements only, and imports nothing.

They run on PostgreSQL 10 and later. `SERVER` is for everybody; each of `OPTIONAL` may fail for want of privileges or on
a standby, and then only that fact stays unknown. `ALL_OPTIONAL` asks for all of them at once, where none fails.
Of `ACTIONS` each statement is a transaction of its own; the one whose value is the answer is called `answer`.
"""

SETTINGS = (
    "archive_command",
    "archive_library",
    "archive_mode",
    "archive_timeout",
    "cluster_name",
    "data_directory",
    "max_replication_slots",
    "max_wal_senders",
    "port",
    "summarize_wal",
    "synchronous_standby_names",
    "unix_socket_directories",
    "wal_level",
)
"""Those that this server knows, and shows to this role, come back as pg_settings has them."""

SERVER = """
select json_build_object(
    'version', split_part(current_setting('server_version'), ' ', 1),
    'version_number', current_setting('server_version_num')::int,
    'in_recovery', pg_is_in_recovery(),
    'data_checksums', current_setting('data_checksums') = 'on',
    'wal_segment_size', pg_size_bytes(current_setting('wal_segment_size')),
    'clock', clock_timestamp(),
    'settings', (select json_object_agg(name, setting) from pg_settings where name = any(%s)),
    'pending', (select coalesce(json_agg(name order by name), '[]') from pg_settings
        where name = any(%s) and pending_restart),
    'archiver', (select row_to_json(a) from (
        select last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, failed_count
        from pg_stat_archiver) a),
    'slots', (select coalesce(json_agg(row_to_json(s)), '[]') from (
        select slot_name, active, restart_lsn, write_lsn, extract(epoch from write_lag)::float as write_lag
        from pg_replication_slots left join pg_stat_replication on pid = active_pid
        where slot_type = 'physical' order by slot_name) s))
"""
OPTIONAL = {
    "position": (
        "select (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text"
    ),
    "segment": "select case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_lsn()) end",
    "received_timeline": "select received_tli from pg_stat_wal_receiver",
    "checkpoint_timeline": "select timeline_id from pg_control_checkpoint()",
    "system_identifier": "select system_identifier::text from pg_control_system()",
    "ready": "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'",
}
_MEMBERS = ", ".join(f"'{name}', ({sql})" for name, sql in OPTIONAL.items())
ALL_OPTIONAL = f"select json_build_object({_MEMBERS})"
_MESSAGE = "select pg_logical_emit_message(true, 'pgwrap', 'closes a WAL segment')"
"""A commit that changes nothing and that every role may make: an idle server would not switch without one, and a WAL
receiver closes a segment only when the next one begins."""
_COPYING = """
select json_build_array(sum(backup_streamed), sum(backup_total), count(*)) as answer from pg_stat_progress_basebackup
"""
ACTIONS = {
    "switch-wal": (_MESSAGE, "select pg_walfile_name(pg_switch_wal()) as answer", _MESSAGE),
    "copying": (_COPYING,),
}
"""`switch-wal` is all that pgwrap changes in a server by itself. PostgreSQL tells of copies since version 13."""
