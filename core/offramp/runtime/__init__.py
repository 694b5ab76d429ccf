"""Runtimes: open segments and run them."""
