"""Sweeps: scenario files, whose lists multiply into runs, each of which is a replay and leaves a record."""
