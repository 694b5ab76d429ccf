"""Branches: exit classifiers trained on a frozen trunk."""
