"""Here so that tests can import their helpers, as `tests.probe`; the folders below are no packages."""
