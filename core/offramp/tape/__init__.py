"""The tape: what every branch, codec and tail said about every sample of a data set.

Any plan is replayed over it without running the network again: who leaves where, what the edge answers, how many bytes
travel. docs/tape.md describes the file; recording it (running the bundle) is the lab's.

    header.py    what a tape is of: bundle, data, code, its voices and codecs
    rows.py      one part's worth of recorded samples, checked and encoded
    columns.py   the columns of the file, from a header
    parquet.py   the only module that meets pyarrow
    recording.py parts that survive a kill, then one file
    reader.py    an opened tape, as numpy views
"""
