"""Reproducible measurements, one file a question; `python -m bench` answers them all."""
