"""Typer commands: read options, call one use case, hand its result to a presenter. No decision lives here."""
