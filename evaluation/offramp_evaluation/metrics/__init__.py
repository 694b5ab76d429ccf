"""Metrics: pure functions from arrays to the numbers of a report, each with its uncertainty."""
