"""Measurement: the link and the costs of stages."""
