"""A laboratory of real, throwaway PostgreSQL clusters and engines; it knows nothing of pgwrap's insides."""
