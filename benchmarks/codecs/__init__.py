"""What features cost on the wire, and what that costs in accuracy: every codec at every split, learned ones among them.

    bundle with bottlenecks, data ─► tape ─► spots (accuracy, bytes) ─► record (JSON) ─► chapter and figures of docs
                                     clock ─► encode, decode, head ──────┘

python -m benchmarks.codecs --help says the rest.
"""
