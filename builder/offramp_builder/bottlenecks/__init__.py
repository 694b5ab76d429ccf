"""Learned bottlenecks: what crosses a cut, made small by a network of its own."""
