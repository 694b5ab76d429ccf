"""Recording tapes: a bundle runs once over a data set, so that any plan can be replayed afterwards."""
