from pathlib import Path

import pytest

from offramp.errors import DataError
from offramp_evaluation.replay import arrivals


def written(folder: Path, text: str) -> Path:
    path = folder / "arrivals.txt"
    path.write_text(text)
    return path


def test_random_arrivals_come_at_their_rate() -> None:
    assert arrivals.poisson(10.0, 10_000, seed=1)[-1] == pytest.approx(1000, rel=0.05)


@pytest.mark.parametrize(
    "text",
    [
        "5.0\n5.25\n\n# a gap\n7\n",
        "time_s,who\n5,a\n5.25,b\n7,c\n",
        "frame, time_ms\n0, 5000\n1, 5250\n2, 7000\n",
        "arrival\n5\n5.25\n7\n",
    ],
    ids=["text", "csv", "milliseconds", "no unit"],
)
def test_recorded_arrivals_count_from_the_first_in_seconds(tmp_path: Path, text: str) -> None:
    assert arrivals.read_arrivals(written(tmp_path, text)).tolist() == pytest.approx([0.0, 0.25, 2.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; write one arrival a line"),
        ("time_s\n", "a header and no row"),
        ("when\n1\n", "no column of arrivals among 'when'; name it time_s"),
        ("0\nsoon\n", "line 2: 'soon' holds no time"),
        ("0\n2\n1\n", "line 3: 1 s comes after 2 s; sort"),
        ("0\nnan\n", "line 2: 'nan' holds no time"),
    ],
)
def test_a_file_without_arrivals_says_what_it_lacks(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrivals.read_arrivals(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing.txt"):
        arrivals.read_arrivals(tmp_path / "nothing.txt")
