"""Where the journal's facts are kept: in a SQLite file, or in memory for tests and simulations."""
