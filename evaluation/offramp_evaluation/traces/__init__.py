"""Traces: bandwidth, delay and loss of a link over time, from files or generators."""
