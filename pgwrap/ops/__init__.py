"""Use cases, a verb per file: each reaches engines and the world through their ports alone and returns a result."""
