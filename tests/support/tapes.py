"""A tape of a network that never was: seeded voices for every branch, tail and codec of a manifest."""

from pathlib import Path

import numpy as np

from offramp.bundle.manifest import SCORES, Manifest
from offramp.tape.header import CodecEntry, TapeHeader, branch_voice, tail_voice
from offramp.tape.reader import Tape, open_tape
from offramp.tape.recording import Recording
from offramp.tape.rows import TapeRows


def write_a_tape(
    path: Path,
    manifest: Manifest,
    *,
    samples: int = 200,
    payload: int = 1000,
    also: tuple[str, ...] = (),
    seed: int = 0,
) -> Tape:
    """Deeper voices are right more often; `affine8+zstd` (or `jpeg:90` at the input) is recorded at every split.

    `also` are quantisers that are recorded past the input too, each with a voice of its own.
    """
    random = np.random.default_rng(seed)
    classes = manifest.cuts[-1].tensors[0].elements
    truth = random.integers(0, classes, samples)
    splits = range(manifest.end)
    tails = tuple((split, "affine8" if split else "jpeg:90") for split in splits)
    codecs = tuple(
        CodecEntry(split=split, codec="affine8+zstd" if split else "jpeg:90", voice=tail_voice(*tail))
        for split, tail in zip(splits, tails, strict=True)
    )
    more = tuple((split, name) for split in splits[1:] for name in also)
    tails += more
    codecs += tuple(CodecEntry(split=split, codec=name, voice=tail_voice(split, name)) for split, name in more)
    header = TapeHeader(
        bundle=manifest.name,
        model_digest=manifest.model_digest,
        data="seeded",
        data_digest="0" * 64,
        code="a test",
        samples=samples,
        classes=classes,
        end=manifest.end,
        branches=tuple(branch.cut for branch in manifest.branches),
        tails=tails,
        codecs=codecs,
        scores=SCORES,
    )
    right = {branch_voice(cut): 0.5 + 0.1 * cut for cut in header.branches}
    logits = {}
    for voice in header.voices:
        said = np.where(random.random(samples) < right.get(voice, 0.95), truth, random.integers(0, classes, samples))
        logits[voice] = (np.eye(classes)[said] * random.uniform(0.5, 5.0, (samples, 1))).astype(np.float32)
    with_scores = [voice for voice in header.voices if header.has_scores(voice)]
    recording = Recording.start(path, header)
    for part in recording.missing():
        rows = slice(*header.part_range(part))
        count = rows.stop - rows.start
        recording.write(
            part,
            TapeRows(
                id=np.arange(samples)[rows],
                index=np.arange(samples)[rows],
                group=np.arange(samples)[rows] // 10,
                truth=truth[rows],
                stream=np.array(["a"] * count),
                subset=np.array(["test"] * count),
                logits={voice: values[rows] for voice, values in logits.items()},
                scores={voice: _scores(logits[voice][rows]) for voice in with_scores},
                payload_bytes={
                    (entry.split, entry.codec): random.integers(payload // 2, payload * 3 // 2, count)
                    for entry in codecs
                },
            ),
        )
    return open_tape(recording.finish())


def _scores(logits_NK: np.ndarray) -> np.ndarray:
    probability_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    probability_NK /= probability_NK.sum(axis=1, keepdims=True)
    ordered_NK = np.sort(probability_NK, axis=1)
    entropy_N = -(probability_NK * np.log(probability_NK)).sum(axis=1) / np.log(logits_NK.shape[1])
    best_N, second_N = ordered_NK[:, -1], ordered_NK[:, -2]
    return np.stack([best_N, entropy_N, best_N - second_N, best_N], axis=1).astype(np.float32)
