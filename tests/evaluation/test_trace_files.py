"""Trace files: formats, their detection, their errors, and every real one there is."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from offramp.errors import DataError, UnknownNameError
from offramp.units import Seconds
from offramp_evaluation.traces.command import TRACE
from offramp_evaluation.traces.csvfile import parse_columns, write_csv
from offramp_evaluation.traces.figure import WIDTH, nice_ticks, write_figure
from offramp_evaluation.traces.formats import Reading, read_trace
from offramp_evaluation.traces.generate import markov, step
from offramp_evaluation.traces.integral import Integral
from offramp_evaluation.traces.trace import After

Write = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "link") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def trace_command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    TRACE.configure(parser)
    return TRACE.run(parser.parse_args([str(argument) for argument in arguments]))


def test_mahimahi_packets_are_gathered_into_bins(written: Write) -> None:
    trace = read_trace(written("0\n0\n99\n100\n300\n300\n"))
    assert trace.rate_T.tolist() == [3 * 120e3, 120e3, 2 * 120e3]
    assert (trace.duration, trace.after) == (0.3, After.REPEAT)


@pytest.mark.parametrize("bin_s", [0.001, 0.03, 0.1, 1.0, 60.0])
def test_no_mahimahi_packet_is_lost_in_any_bin(written: Write, bin_s: float) -> None:
    stamps = np.sort(np.random.default_rng(3).integers(0, 20_011, 500))
    trace = read_trace(written("\n".join(map(str, stamps))), reading=Reading(bin=Seconds(bin_s)))
    assert float(Integral(trace).until(trace.duration)) == pytest.approx(500 * 1500)


def test_a_pensieve_rate_belongs_to_the_interval_that_ends_at_its_time(written: Write) -> None:
    trace = read_trace(written("0.0\t9.9\r\n0.5\t2\r\n1.5\t0\r\n2.0\t3.5\r\n"))
    assert trace.time_T.tolist() == [0.0, 0.5, 1.5]
    assert trace.rate_T.tolist() == [2e6, 0.0, 3.5e6]
    assert (trace.duration, trace.after) == (2.0, After.REPEAT)


def test_csv_columns_carry_their_units(written: Write) -> None:
    trace = read_trace(
        written("\ufeff\ntime_ms;rate_kbps;delay_ms;loss;up;note\n1000;800;20;0.1;1;a\n1500;900;30;0;0;b\n")
    )
    assert trace.time_T.tolist() == [0.0, 0.5]
    assert trace.rate_T.tolist() == [800e3, 0.0]
    assert trace.delay_T.tolist() == [0.02, 0.03]
    assert trace.loss_T.tolist() == [0.1, 0.0]
    assert trace.duration == 1.0


def test_csv_columns_can_be_named(written: Write) -> None:
    path = written("Timestamp,DL\n5,4\n6,2\n")
    trace = read_trace(path, reading=Reading(columns=parse_columns("time=Timestamp:s, rate=DL:Mbit")))
    assert trace.rate_T.tolist() == [4e6, 2e6]


def test_written_as_csv_a_trace_reads_back(tmp_path: Path) -> None:
    made = markov([0.0, 1e6, 3.3e6], dwell=Seconds(0.7), duration=Seconds(20.0), seed=1, delay=Seconds(0.013))
    write_csv(made, tmp_path / "made.csv")
    again = read_trace(tmp_path / "made.csv")
    for name in ("time_T", "rate_T", "delay_T", "loss_T"):
        assert getattr(again, name).tolist() == getattr(made, name).tolist(), name


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("", None, "empty; a trace has at least one line"),
        ("\n \n", "mahimahi", "empty; expected one millisecond a line"),
        ("", "pensieve", "0 line(s); expected two or more"),
        ("", "csv", "empty; expected a header"),
        (b"\xff\xfe\x00", None, "not text"),
        ("<html>", None, "looks like no trace"),
        ("1 2 3\n", None, "looks like no trace"),
        ("0\n5\n\n4\n", None, "line 4 is 4, after 5"),
        ("-1\n", None, "line 1 is -1, before 0"),
        ("0\n1.5\n", None, "line 2 is '1.5'; expected a millisecond"),
        ("0\n0\n", None, "all 2 lines are 0"),
        ("0.0\t1\n", None, "1 line(s); expected two or more"),
        ("0.0\t1\n1.0\t2\n1.0\t3\n", None, "line 3 is at 1.0 s, not after 1.0 s"),
        ("0.0\t1\n1.0\n", None, "line 2 is '1.0'; expected `seconds<TAB>Mbit/s`"),
        ("0.0\t1\n1.0\t-2\n", None, "line 2"),
        ("0.0\t1\nnan\t2\n", None, "line 2"),
        ("time_s,speed\n0,1\n", None, "no column for the rate among time_s, speed"),
        ("time_s,rate_mbps\n", None, "only a header"),
        ("time_s,rate_mbps\n0,1\n0,1\n", None, "line 3 is at 0.0 s"),
        ("time_s,rate_mbps\n0,x\n", None, "line 2 has 'x' in column 'rate_mbps'"),
        ("time_s,rate_mbps\n0\n", None, "line 2 has 1 fields"),
        ("time_s,rate_mbps,loss\n0,1,1.5\n", None, "share between 0 and 1"),
        ("time_s,rate_mbps\n0,-1\n", None, "0 or more"),
    ],
)
def test_a_broken_file_names_its_line_and_what_was_expected(
    written: Write, text: str | bytes, kind: str | None, says: str
) -> None:
    path = written(text)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_trace(path, kind=kind)
    assert str(path) in str(caught.value)


def test_the_format_can_be_said(written: Write) -> None:
    path = written("0\n1000\n")
    assert read_trace(path, kind="mahimahi").duration == 1.0
    with pytest.raises(DataError, match="two numbers"):
        read_trace(path, kind="pensieve")
    with pytest.raises(UnknownNameError, match="did you mean 'mahimahi'"):
        read_trace(path, kind="mahimah")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_trace(tmp_path / "gone")


def test_a_column_that_is_not_there_gets_the_near_miss(written: Write) -> None:
    with pytest.raises(DataError, match="did you mean 'Timestamp'"):
        read_trace(written("Timestamp,DL\n5,4\n"), reading=Reading(columns={"time": "Timestmp"}))


def test_the_command_shows_numbers_and_a_drawing(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert trace_command("show", written("0.0\t1\n10.0\t2\n20.0\t0\n")) == 0
    shown = capsys.readouterr().out
    assert "mean 1.00 Mbit/s" in shown
    assert "outage  50.0% of the time, the longest 10.0 s" in shown
    assert "█" in shown
    assert "×" in shown


def test_the_command_shows_the_readable_ones_and_fails_for_the_others(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written("0.0\t1\n10.0\t2\n", "good"), written("what", "bad")
    assert trace_command("show", "--json", bad, good) == 2
    out, complaint = capsys.readouterr()
    assert [item["name"] for item in json.loads(out)] == ["good"]
    assert json.loads(out)[0]["mean_bps"] == 2e6
    assert "bad: it begins with 'what'" in complaint


@pytest.mark.parametrize("pieces", [1, 5, 5000])
def test_a_figure_is_well_formed_and_inside_its_frame(tmp_path: Path, pieces: int) -> None:
    rates = [(Seconds(0.5), float(index % 3) * 1e6) for index in range(pieces)]
    write_figure([step(rates).named("<a & b>\x01"), step(rates)], tmp_path / "two.svg")
    root = ElementTree.fromstring((tmp_path / "two.svg").read_text())
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for shape in root.iter("{http://www.w3.org/2000/svg}polyline"):
        points = [tuple(map(float, point.split(","))) for point in shape.attrib["points"].split()]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert "<a & b>" in "".join(root.itertext())


def test_a_figure_as_png_has_the_size_it_says(tmp_path: Path) -> None:
    write_figure([step([(Seconds(1.0), 1e6), (Seconds(1.0), 0.0)])], tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        assert image.size[0] == WIDTH
        assert len(image.convert("RGB").getcolors(1 << 20)) > 3


def test_a_figure_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither \.svg nor \.png"):
        write_figure([step([(Seconds(1.0), 1e6)])], tmp_path / "one.pdf")


@pytest.mark.parametrize(
    ("highest", "expected"), [(1.7, [0, 0.5, 1.0, 1.5]), (7.0, [0, 2, 4, 6]), (0.04, [0, 0.01, 0.02, 0.03, 0.04])]
)
def test_ticks_are_round(highest: float, expected: list[float]) -> None:
    assert nice_ticks(highest, 4) == pytest.approx(expected)


@pytest.mark.data
def test_every_real_trace_is_read_and_drawn(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path for path in (data_root / "net_traces").rglob("*") if path.is_file())
    assert len(files) == 282
    figure = tmp_path / "all.svg"
    assert trace_command("show", "--plot", figure, *files) == 0
    shown = capsys.readouterr().out
    for path in files:
        assert f"{path.name}: " in shown
    root = ElementTree.fromstring(figure.read_text())
    assert len([text for text in root.itertext() if "of the time" in text]) == 282


@pytest.mark.data
def test_the_real_means_are_those_that_were_published(data_root: Path) -> None:
    means = {}
    for folder in ("mahimahi", "pensieve_test", "pensieve_train"):
        for path in sorted((data_root / "net_traces" / folder).iterdir()):
            trace = read_trace(path)
            means.setdefault(folder, []).append(8 * float(Integral(trace).until(trace.duration)) / trace.duration / 1e6)
    assert 0.5 <= min(means["mahimahi"]) < 0.55
    assert 16.5 < max(means["mahimahi"]) < 17
    pensieve = means["pensieve_test"] + means["pensieve_train"]
    assert 0.12 < min(pensieve) < 0.14
    assert 4.5 < max(pensieve) < 4.7
