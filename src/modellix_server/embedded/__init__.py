"""PostgreSQL's lifecycle and the data directory, for an installation on one machine."""
