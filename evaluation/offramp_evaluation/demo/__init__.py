"""The demo: a device and an edge, as real processes, share a network over a link that gets worse and breaks."""
