"""Evaluation: the emulated link, the demo, and the lab."""
