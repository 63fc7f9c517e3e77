"""The retention oracle: random catalogs, pgwrap's forecast, and the engine's own expiry as the judge of it."""
