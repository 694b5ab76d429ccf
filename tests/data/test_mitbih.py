"""MIT-BIH: beats cut and scaled from what has been seen, patients kept apart, both encodings read alike."""

import lzma
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.data import Part, load, split
from offramp.data.beats import CLASSES, PATIENT, PEAK, RATE_HZ, WINDOW, beat_windows, rhythm, shape
from offramp.data.mitbih import RECORDINGS
from offramp.errors import DataError, MissingExtraError

LENGTH = 4000
ANNOTATED = [(5, "+"), (900, "N"), (1200, "A"), (1207, "~"), (1700, "V"), (2600, "F"), (3400, "~"), (3990, "Q")]
CODES = {"N": 1, "V": 5, "F": 6, "A": 8, "Q": 13, "~": 14, "+": 28}  # of the MIT annotation format


def an_ecg(seed: int) -> NDArray[np.int16]:
    """Counts as a recording holds them: a wandering level of 1024, and a spike at every beat."""
    rng = np.random.default_rng(seed)
    counts = 1024 + 30 * np.sin(np.arange(LENGTH) / 300) + rng.normal(0, 4, LENGTH)
    for place, symbol in ANNOTATED:
        if symbol not in "+~":
            counts[place - 4 : place + 5] += 200
    return counts.astype(np.int16)


def write_encoded(folder: Path, numbers: list[int]) -> None:
    steps = np.stack([np.diff(an_ecg(number), prepend=np.int16(0)) for number in numbers])
    file = BytesIO()
    np.save(file, steps)
    (folder / "mitbih_1lead_delta.npy.xz").write_bytes(lzma.compress(file.getvalue()))
    np.savez(
        folder / "mitbih_annotations.npz",
        record=np.array(numbers, np.int16),
        ann_record_index=np.repeat(np.arange(len(numbers), dtype=np.uint8), len(ANNOTATED)),
        ann_sample=np.array([place for place, _ in ANNOTATED] * len(numbers), np.int32),
        ann_symbol=np.array([symbol for _, symbol in ANNOTATED] * len(numbers)),
    )


def write_published(folder: Path, number: int, leads: tuple[str, str] = ("V5", "MLII"), rate: int = 360) -> None:
    """A header, two leads in format 212 (two values of 12 bits in three bytes) and annotations in the MIT format."""
    lines = [f"{number} 2 {rate} {LENGTH}"]
    signals = np.stack([an_ecg(number) if lead == "MLII" else np.full(LENGTH, 900, np.int16) for lead in leads])
    for lead, signal in zip(leads, signals, strict=True):
        checksum = int(np.array(signal.sum() & 0xFFFF, np.uint16).astype(np.int16))
        lines.append(f"{number}.dat 212 200 11 1024 {signal[0]} {checksum} 0 {lead}")
    (folder / f"{number}.hea").write_text("\n".join(lines) + "\n# 69 M 1085 1629 x1\n")
    first, second = signals.astype(np.uint16)
    packed = np.stack([first & 0xFF, (first >> 8) & 0xF | ((second >> 8) & 0xF) << 4, second & 0xFF], axis=1)
    (folder / f"{number}.dat").write_bytes(packed.astype(np.uint8).tobytes())
    places = np.array([place for place, _ in ANNOTATED])
    words = np.array([CODES[symbol] << 10 for _, symbol in ANNOTATED]) + np.diff(places, prepend=0)
    (folder / f"{number}.atr").write_bytes(words.astype("<u2").tobytes() + b"\0\0")


def test_beats_are_samples_in_the_classes_of_aami_and_other_marks_are_not(tmp_path: Path) -> None:
    write_encoded(tmp_path, [100])
    data = load(f"mitbih:{tmp_path}")
    assert [CLASSES[truth] for truth in data.truth_N] == ["N", "S", "V", "F", "Q"]
    assert (data.sample.kind, data.samples.shape) == ("ecg", (5, WINDOW + PATIENT))


def test_every_window_has_its_peak_at_the_stated_place(tmp_path: Path) -> None:
    write_encoded(tmp_path, [100])
    windows_NW = load(f"mitbih:{tmp_path}").samples
    assert (windows_NW[:, PEAK] > 2).all()
    assert (windows_NW[:, PEAK - 10 : PEAK - 3] < 2).all()


def beats_every(*seconds: float) -> NDArray[np.int64]:
    """Peaks at these intervals, after a first one."""
    return np.cumsum([500, *(round(RATE_HZ * interval) for interval in seconds)])


def test_a_regular_rhythm_says_nothing() -> None:
    np.testing.assert_allclose(rhythm(beats_every(*[0.8] * 40)), 0, atol=1e-6)


def test_a_beat_that_comes_a_fifth_early_is_one_fifth_off_all_that_came_before() -> None:
    early_R = rhythm(beats_every(*[0.8] * 40, 0.8 * np.exp(-0.2)))[-1]
    np.testing.assert_allclose(early_R, [-1, -1, -1, 0], atol=0.02)


def test_the_rhythm_of_a_beat_knows_nothing_of_later_ones() -> None:
    peaks_N = beats_every(*np.random.default_rng(0).uniform(0.5, 1.2, 60))
    np.testing.assert_array_equal(rhythm(peaks_N)[:30], rhythm(peaks_N[:30]))


def test_the_last_half_minute_counts_apart_from_all_before() -> None:
    over_all, over_recent, *_ = rhythm(beats_every(*[1.0] * 100, *[0.5] * 33))[-1]
    assert over_recent == pytest.approx(0, abs=1e-6)
    assert over_all < -2


@pytest.mark.parametrize("beats", [0, 1, 2])
def test_the_first_beats_of_a_recording_have_no_rhythm_yet(beats: int) -> None:
    assert not rhythm(beats_every(*[0.8] * 5)[:beats]).any()


def windows_of(*beats: NDArray[np.float64]) -> NDArray[np.float32]:
    """These around the R peak, and nothing elsewhere."""
    windows_NW = np.zeros((len(beats), WINDOW), np.float32)
    for window_W, beat in zip(windows_NW, beats, strict=True):
        window_W[PEAK - 10 : PEAK - 10 + len(beat)] = beat
    return windows_NW


USUAL, STRANGE = np.hanning(21) * 5, -np.hanning(41) * 4


def test_a_beat_like_those_before_it_is_not_strange() -> None:
    np.testing.assert_allclose(shape(windows_of(*[USUAL] * 40)), 0, atol=1e-4)


def test_a_strange_beat_is_unlike_the_usual_one_and_the_last() -> None:
    before_S, strange_S, after_S = shape(windows_of(*[USUAL] * 9, STRANGE, USUAL))[-3:]
    assert before_S == pytest.approx([0, 0, 0], abs=1e-4)
    assert (strange_S[:2] > 3).all()
    assert after_S[0] < 1 < after_S[1]


def test_a_beat_a_fifth_larger_says_so() -> None:
    larger_S = shape(windows_of(*[USUAL] * 9, USUAL * np.exp(0.2)))[-1]
    np.testing.assert_allclose(larger_S, [0, 0, 1], atol=1e-3)


def test_the_shape_of_a_beat_knows_nothing_of_later_ones() -> None:
    windows_NW = np.random.default_rng(0).normal(0, 1, (60, WINDOW)).astype(np.float32)
    np.testing.assert_array_equal(shape(windows_NW)[:40], shape(windows_NW[:40]))


@pytest.mark.parametrize("beats", [0, 1])
def test_the_first_beat_of_a_recording_looks_like_nothing_yet(beats: int) -> None:
    assert not shape(windows_of(*[USUAL] * beats)).any()


def test_a_window_is_the_same_whatever_comes_after_it_and_before_it() -> None:
    signal_L = np.random.default_rng(0).normal(0, 1, 4000).astype(np.float32)
    other_L = signal_L.copy()
    other_L[: 2000 - 3 * PEAK - 1] += 5
    other_L[2000 + 3 * (WINDOW - PEAK) :] -= 5
    peaks_N = np.array([2000])
    np.testing.assert_array_equal(beat_windows(signal_L, peaks_N), beat_windows(other_L, peaks_N))


def test_level_and_scale_of_a_lead_make_no_difference() -> None:
    signal_L = np.random.default_rng(0).normal(0, 1, 4000).astype(np.float32)
    peaks_N = np.array([0, 1500, 3999])
    np.testing.assert_allclose(
        beat_windows(signal_L, peaks_N), beat_windows(3 * signal_L + 7, peaks_N), rtol=1e-4, atol=1e-4
    )


def test_a_lead_that_fell_off_stays_flat() -> None:
    assert not beat_windows(np.full(3000, 0.3, np.float32), np.array([1500])).any()


def test_a_peak_outside_of_the_recording_is_refused() -> None:
    with pytest.raises(DataError, match="at 5 to 3000, the recording holds 3000 values"):
        beat_windows(np.zeros(3000, np.float32), np.array([5, 3000]))


def test_each_recording_is_a_stream_in_order_of_time_and_each_patient_a_group(tmp_path: Path) -> None:
    write_encoded(tmp_path, [202, 100, 114])
    data = load(f"mitbih:{tmp_path}")
    assert data.stream_N is not None
    assert data.stream_N.tolist() == ["100"] * 5 + ["114"] * 5 + ["202"] * 5
    assert data.groups == 3
    assert data.part_N[::5].tolist() == [Part.TEST, Part.CALIBRATION, Part.TEST]


def test_no_patient_is_in_two_parts_and_nobody_with_a_pacemaker_in_any() -> None:
    numbers = [number for part in RECORDINGS.values() for number in part]
    assert len(numbers) == len(set(numbers)) == 43
    # 201 and 202 are one person; 102, 104, 107 and 217 are paced.
    assert not {201, 102, 104, 107, 217} & set(numbers)
    assert len(RECORDINGS[Part.TEST]) == 22


def test_recordings_that_are_not_there_are_reported(tmp_path: Path) -> None:
    write_encoded(tmp_path, [100, 101])
    skipped = load(f"mitbih:{tmp_path}").skipped
    assert len(skipped) == 41
    assert (str(tmp_path), "recording 103 is not there") in skipped


def test_the_published_records_read_as_their_re_encoding(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    for place in ("published", "encoded"):
        (tmp_path / place).mkdir()
    write_published(tmp_path / "published", 114)
    write_encoded(tmp_path / "encoded", [114])
    published, encoded = (load(f"mitbih:{tmp_path / place}") for place in ("published", "encoded"))
    assert published.digest == encoded.digest


def damage_values(folder: Path) -> None:
    content = bytearray((folder / "100.dat").read_bytes())
    content[3002] ^= 1
    (folder / "100.dat").write_bytes(content)


def cut_annotations(folder: Path) -> None:
    (folder / "100.atr").write_bytes((folder / "100.atr").read_bytes()[:7])


def another_rate(folder: Path) -> None:
    write_published(folder, 100, rate=250)


def another_lead(folder: Path) -> None:
    write_published(folder, 100, leads=("V1", "V5"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_values, "do not add up to the checksum"),
        (cut_annotations, "recording 100 .* cannot be read"),
        (another_rate, "at 250 Hz, not MLII at 360 Hz"),
        (another_lead, "has V1, V5 at 360 Hz, not MLII"),
        (lambda folder: (folder / "100.atr").unlink(), "recording 100 .* cannot be read"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    pytest.importorskip("wfdb")
    write_published(tmp_path, 100)
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        load(f"mitbih:{tmp_path}")


def test_without_wfdb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published(tmp_path, 100)
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(MissingExtraError, match=r"offramp\[ecg\]"):
        load(f"mitbih:{tmp_path}")


def test_a_folder_without_recordings_says_where_they_are_published(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="PhysioNet's page"):
        load(f"mitbih:{tmp_path}")


def test_a_truncated_re_encoding_is_refused(tmp_path: Path) -> None:
    write_encoded(tmp_path, [100])
    path = tmp_path / "mitbih_1lead_delta.npy.xz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read"):
        load(f"mitbih:{tmp_path}")


def test_annotations_of_other_recordings_are_refused(tmp_path: Path) -> None:
    write_encoded(tmp_path, [100, 101])
    annotations = (tmp_path / "mitbih_annotations.npz").read_bytes()
    write_encoded(tmp_path, [100])
    (tmp_path / "mitbih_annotations.npz").write_bytes(annotations)
    with pytest.raises(DataError, match=r"signals of shape \(1, 4000\) for 2 recordings"):
        load(f"mitbih:{tmp_path}")


@pytest.mark.data
def test_the_real_recordings_hold_the_beats_that_were_published(data_root: Path) -> None:
    parts = split(load(f"mitbih:{data_root / 'mitbih'}"))
    counts = [np.bincount(part.truth_N, minlength=5).tolist() for part in (parts.train, parts.calibration, parts.test)]
    assert counts == [
        [27053, 597, 2223, 378, 8],
        [17178, 219, 1367, 35, 0],
        [44259, 1837, 3221, 388, 7],
    ]


@pytest.mark.data
def test_real_records_as_published_have_their_checksums(data_root: Path) -> None:
    pytest.importorskip("wfdb")
    data = load(f"mitbih:{data_root / 'mitbih' / 'original_records'}")
    assert np.bincount(data.truth_N, minlength=5).tolist() == [3825, 35, 993, 373, 2]
