"""camera-digits: deterministic, divided by writer and by photograph, quick enough to stream."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from offramp.data import Part, Request, camera_frames, load, split
from offramp.data import digits as digit_files
from offramp.data.camera_digits import frames_at, published_frames
from offramp.data.digits import RANGES, digits, photographs
from offramp.errors import DataError, MissingExtraError


def test_the_same_seed_gives_the_same_frames_and_another_does_not() -> None:
    first, again, other = (
        np.stack([frame.image for frame in islice(camera_frames(seed=seed), 30)]) for seed in (3, 3, 4)
    )
    assert (first == again).all()
    assert (first != other).any(axis=(1, 2, 3)).all()


def test_frames_are_96_by_96_rgb_with_their_truth() -> None:
    frame = next(camera_frames(Part.TEST))
    assert (frame.image.shape, frame.image.dtype) == ((96, 96, 3), np.uint8)
    assert 0 <= frame.truth <= 9


def test_a_run_shows_one_digit_over_8_to_24_frames_that_resemble_each_other() -> None:
    frames = list(islice(camera_frames(Part.TRAIN), 400))
    runs = [[frame for frame in frames if frame.run == run] for run in range(frames[-1].run)]
    assert all(8 <= len(run) <= 24 for run in runs)
    assert all(len({frame.truth for frame in run}) == 1 for run in runs)

    def difference(a: int, b: int) -> float:
        return float(np.abs(frames[a].image.astype(int) - frames[b].image.astype(int)).mean())

    within = [difference(i, i + 1) for i in range(399) if frames[i].run == frames[i + 1].run]
    across = [difference(i, i + 1) for i in range(399) if frames[i].run != frames[i + 1].run]
    assert 3 * np.median(within) < np.median(across)


def test_every_digit_of_a_part_is_shown_before_any_is_shown_again() -> None:
    frames = camera_frames(Part.CALIBRATION)
    truth = [next(frames).truth]
    run = 0
    for frame in frames:
        if frame.run != run:
            run = frame.run
            if run == len(RANGES[Part.CALIBRATION]):
                break
            truth.append(frame.truth)
    expected = digits().truth_D[np.array(RANGES[Part.CALIBRATION])]
    assert sorted(truth) == sorted(expected.tolist())


def test_parts_share_neither_digits_nor_photograph_regions() -> None:
    ranges = [set(RANGES[part]) for part in (Part.TRAIN, Part.CALIBRATION, Part.TEST)]
    assert set.union(*ranges) == set(range(1797))
    assert sum(map(len, ranges)) == 1797
    assert len(RANGES[Part.CALIBRATION]) >= 350
    heights = [photographs(part)[0].height for part in (Part.TRAIN, Part.CALIBRATION, Part.TEST)]
    assert sum(heights) == 427


def test_the_arrays_group_by_digit_and_split_as_published() -> None:
    parts = split(load("camera-digits", Request(limit=60)))
    assert [len(parts.train), len(parts.calibration), len(parts.test)] == [60, 60, 60]
    assert set(parts.test.group_N.tolist()) <= set(RANGES[Part.TEST])
    assert parts.test.truth_N.tolist() == digits().truth_D[parts.test.group_N].tolist()


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    digits.cache_clear()
    monkeypatch.setattr(digit_files.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"offramp\[demo\]"):
        next(camera_frames())


def test_reading_the_digits_imports_neither_scikit_learn_nor_torch() -> None:
    program = (
        "import sys; from offramp.data import camera_frames; next(camera_frames()); "
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_single_frames_of_the_data_set_are_those_that_all_of_it_has() -> None:
    first = [image for _, image in islice(published_frames(Part.CALIBRATION), 30)]
    start = 2 * 12 * len(RANGES[Part.TRAIN])
    found = frames_at([start + 3, start + 29, start])
    assert sorted(found) == [start, start + 3, start + 29]
    assert all((found[start + place] == first[place]).all() for place in (0, 3, 29))


def test_a_frame_past_the_end_is_refused() -> None:
    with pytest.raises(DataError, match="none at 1000000"):
        frames_at([1_000_000])
