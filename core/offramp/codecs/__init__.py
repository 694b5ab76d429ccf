"""Codecs: feature to payload and back."""
