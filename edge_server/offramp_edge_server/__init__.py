"""The edge server: the later stages, batched, for many devices."""
