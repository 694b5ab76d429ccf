"""Strategies: from a situation to a plan, each in one file, all of them in `catalog.py`."""
