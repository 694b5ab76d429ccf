"""One script per claim: measured here, against a reference in the same run."""
