"""Link emulation: a user-space shaper that stands in front of an edge."""
