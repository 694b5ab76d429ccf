"""Training a trunk from raw samples: on a CPU, resumable, with a seed."""
