"""What features cost on the wire, and what that costs in accuracy: every codec at every split, learned ones among them.

    bundle with bottlenecks, data ─► tape ─┬─► spots ─────► accuracy and bytes of every codec ─┐
                                           ├─► sides ─────► plans over thin links ─► live ─────┼─► record (JSON)
                                           ├─► choosing ──► a rate for each sample ────────────┤        │
                                           └─► within ────► fewest bytes, with exits ──────────┤        │
                                    bundle ──► clock ─────► encode, decode, head ──────────────┤        ▼
                             data, weights ──► singles ───► one for all rates, and one for each┘  chapter, figures

python -m benchmarks.codecs --help says the rest.
"""
