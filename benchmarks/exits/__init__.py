"""Every exit policy on equal terms: tuned on calibration samples, judged on test samples that nobody has seen.

    bundles, data ─► tapes ─► tune on calibration ─► judge on test ─► record (JSON) ─► chapter and figures of docs
      three seeds               every policy          operations, shares, errors

python -m benchmarks.exits --help says the rest.
"""
