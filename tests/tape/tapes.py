"""Builders: a header, and rows that depend on nothing but the header and the part."""

from typing import Any

import numpy as np

from offramp.tape.header import CodecEntry, TapeHeader
from offramp.tape.recording import Recording
from offramp.tape.rows import TapeRows

SCORES = ("confidence", "entropy", "margin", "own")


def a_header(**changes: Any) -> TapeHeader:
    fields: dict[str, Any] = {
        "bundle": "tiny", "model_digest": "a" * 64, "data": "noise", "data_digest": "b" * 64, "code": "0.1.0",
        "samples": 25, "classes": 5, "end": 4, "branches": (1, 2), "tails": ((0, "jpeg:75"), (3, "affine8")),
        "codecs": (
            CodecEntry(split=0, codec="jpeg:75", voice="tail/0/jpeg:75"),
            CodecEntry(split=0, codec="png", voice="final"),
            CodecEntry(split=3, codec="affine8", voice="tail/3/affine8"),
            CodecEntry(split=3, codec="affine8+zstd", voice="tail/3/affine8"),
        ),
        "scores": SCORES, "part_rows": 10, "provenance": {"runtime": "none"},
    }  # fmt: skip
    return TapeHeader(**{**fields, **changes})


def all_rows(header: TapeHeader) -> TapeRows:
    """Rows for every sample of the tape, from the header alone."""
    random, count = np.random.default_rng(11), header.samples
    scored = [voice for voice in header.voices if header.has_scores(voice)]
    return TapeRows(
        id=np.arange(count),
        index=np.arange(count) // 2,
        group=np.arange(count) // 5,
        truth=random.integers(-1, header.classes, count),
        stream=np.array([f"camera {number % 2}" for number in range(count)]),
        subset=np.where(np.arange(count) < count // 2, "calibration", "test"),
        logits={voice: random.normal(size=(count, header.classes)).astype(np.float32) * 10 for voice in header.voices},
        scores={voice: random.random((count, len(header.scores)), dtype=np.float32) for voice in scored},
        payload_bytes={(entry.split, entry.codec): random.integers(0, 5000, count) for entry in header.codecs},
    )


def part_of(rows: TapeRows, header: TapeHeader, part: int) -> TapeRows:
    here = slice(*header.part_range(part))
    return TapeRows(
        **{name: getattr(rows, name)[here] for name in ("id", "index", "group", "truth", "stream", "subset")},
        **{
            name: {key: values[here] for key, values in getattr(rows, name).items()}
            for name in ("logits", "scores", "payload_bytes")
        },
    )


def record(recording: Recording, parts: list[int] | None = None) -> None:
    rows = all_rows(recording.header)
    for part in recording.missing() if parts is None else parts:
        recording.write(part, part_of(rows, recording.header, part))
