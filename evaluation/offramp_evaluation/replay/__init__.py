"""Replay: the deployed pipeline, admission, link estimate and batcher on a simulated clock, over a tape."""
