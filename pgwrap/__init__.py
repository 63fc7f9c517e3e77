"""pgwrap: one spec and one status for PostgreSQL clusters backed up by pgBackRest or Barman."""

__version__ = "0.1.0"
