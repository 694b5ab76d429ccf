import csv
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from offramp.errors import DataError, SettingsError
from offramp_evaluation.report.command import REPORT
from offramp_evaluation.report.page import make_page
from offramp_evaluation.report.scales import log_ticks, ticks
from tests.support.commands import called, refused
from tests.support.records import ROWS, a_record, many_runs, write_records

EVIL = "</script><img src=x onerror=alert(1)><!-- & \u2028"


VOID = {"meta", "link", "input", "img", "br"}


class Outline(HTMLParser):
    """Which elements there are, and whether each that was opened was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(folder: Path, out: Path) -> str:
    assert called(REPORT, str(folder), "--out", str(out)) == 0
    return out.read_text(encoding="utf-8")


def data_in(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    records = [a_record(seed=seed, trace=trace) for seed in (0, 1) for trace in ("lte", "wifi")]
    return page_of(write_records(folder, records), folder / "report.html")


def test_the_page_is_whole_html(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert page.startswith("<!doctype html>")
    assert {"table", "figure", "svg", "script", "style"} <= {tag for tag, _ in outline.seen}


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    fetched = [attributes.get(name) for _, attributes in outline.seen for name in ("src", "href", "srcset")]
    assert [address for address in fetched if address not in (None, "data:,")] == []
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", page)
    assert "default-src 'none'" in page


def test_the_page_holds_the_numbers_of_the_records(page: str) -> None:
    data = data_in(page)
    assert [axis["key"] for axis in data["axes"]] == ["link.trace", "seed"]
    assert [row["name"] for row in data["rows"]] == list(ROWS)
    assert len(data["runs"]) == 4
    for run, (seed, trace) in zip(data["runs"], [(0, "lte"), (0, "wifi"), (1, "lte"), (1, "wifi")], strict=True):
        assert run["at"] == [["lte", "wifi"].index(trace), seed]
        for point, row in zip(run["rows"], a_record(seed=seed, trace=trace)["rows"], strict=True):
            summary = row["summary"]
            assert point["accuracy"] == pytest.approx(summary["accuracy"], rel=1e-4)
            assert point["mean"] == pytest.approx(1e3 * summary["latency"]["mean"], rel=1e-4)
            assert point["bytes"] == pytest.approx(summary["wire_bytes"], rel=1e-4)
            assert sum(point["steps"]) == pytest.approx(point["mean"], rel=1e-3)
            assert point["quantiles"] == pytest.approx(
                [1e3 * one for one in row["views"]["latency_quantiles"]], rel=6e-3
            )
            assert point["line"]["plan"] == row["views"]["timeline"]["plan"]


def test_text_of_a_record_cannot_become_markup(tmp_path: Path) -> None:
    record = a_record(trace=EVIL, rows=(EVIL, "search"))
    record["rows"][0]["about"] = EVIL
    other = a_record(seed=1)
    folder = write_records(tmp_path, [record, other])
    assert called(REPORT, str(folder), "--out", str(tmp_path / "evil.html"), "--title", EVIL) == 0
    page = (tmp_path / "evil.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert "img" not in {tag for tag, _ in outline.seen}
    assert data_in(page)["rows"][0]["name"] == EVIL
    assert data_in(page)["meta"]["title"] == EVIL


def test_nothing_that_was_not_measured_is_drawn(tmp_path: Path) -> None:
    record = a_record(rows=("search",))
    record["rows"][0]["summary"]["latency"] = dict.fromkeys(("mean", "p50", "p95", "p99", "max"))  # all were rejected
    record["rows"][0]["views"]["latency_quantiles"] = [None] * 41
    data = data_in(page_of(write_records(tmp_path, [record]), tmp_path / "report.html"))
    assert data["runs"][0]["rows"][0]["mean"] is None


def test_a_page_of_500_runs_stays_small_and_says_what_it_left_out() -> None:
    page = make_page(many_runs(500))
    data = data_in(page)
    assert len(data["runs"]) == 500
    assert len(page.encode()) < 8_000_000
    assert "time lines of strategies" in data["meta"]["thinned"]


def test_a_report_of_no_records_is_refused_with_a_way_out(tmp_path: Path) -> None:
    assert "holds no record.json; make one with" in refused(REPORT, str(tmp_path), "--out", "page.html")
    (tmp_path / "record.json").write_text('{"kind": "tape"}')
    assert "is no record of a run" in refused(REPORT, str(tmp_path), "--out", "page.html")
    (tmp_path / "record.json").write_text('{"kind": "replay", "rows": [{"name": "search"}]}')
    assert "written by an older version" in refused(REPORT, str(tmp_path), "--out", "page.html")
    (tmp_path / "record.json").write_text("{")
    assert "cannot be read as JSON" in refused(REPORT, str(tmp_path), "--out", "page.html")


def test_a_report_that_goes_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give --out FILE.html, --figures DIR, or both"):
        called(REPORT, str(tmp_path))


def test_figures_are_whole_svg_and_name_every_row(tmp_path: Path) -> None:
    folder = write_records(tmp_path, [a_record(seed=0), a_record(seed=1, rows=(*ROWS, EVIL))])
    assert called(REPORT, str(folder), "--figures", str(tmp_path / "figures")) == 0
    drawn = sorted(path.name for path in tmp_path.glob("figures/*.svg"))
    assert drawn == ["distribution.svg", "pareto-bytes.svg", "pareto-latency.svg", "steps.svg", "timeline.svg"]
    texts = {path.stem: "".join(ET.fromstring(path.read_text()).itertext()) for path in tmp_path.glob("figures/*.svg")}
    over_time = texts.pop("timeline")
    for text in texts.values():
        assert [name for name in ROWS if name not in text] == []
    assert "split=8, exit=confidence:0.9@4, codec=none" in over_time
    assert "steady:search" in over_time
    assert len(list(tmp_path.glob("figures/*.png"))) == 5


def test_the_csv_has_every_row_of_every_run(tmp_path: Path) -> None:
    folder = write_records(tmp_path, [a_record(seed=0), a_record(seed=1)])
    assert called(REPORT, str(folder), "--figures", str(tmp_path / "figures")) == 0
    with (tmp_path / "figures" / "rows.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * len(ROWS)
    first = a_record(seed=0)["rows"][0]
    assert (table[0]["row"], table[0]["seed"]) == ("search", "0")
    assert float(table[0]["latency_mean"]) == first["summary"]["latency"]["mean"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.93, 0.952), (0.0, 169.0), (12.0, 12.5), (0.0, 1e-5)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert found[0] >= low - 1e-12
    assert found[-1] <= high + 1e-12


def test_logarithmic_ticks_fall_back_to_even_ones() -> None:
    assert log_ticks(0.001, 1.0)[:4] == [0.001, 0.002, 0.005, 0.01]
    assert log_ticks(20.0, 40.0) == [20.0, 25.0, 30.0, 35.0, 40.0]


def test_records_of_a_replay_are_found_without_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps(a_record()))
    data = data_in(page_of(tmp_path / "record.json", tmp_path / "one.html"))
    assert (len(data["runs"]), data["meta"]["title"]) == (1, "1 replay")


def test_a_folder_twice_is_drawn_once(tmp_path: Path) -> None:
    folder = write_records(tmp_path, [a_record()])
    assert called(REPORT, str(folder), str(folder), "--out", str(tmp_path / "page.html"), "--json") == 0
    assert len(data_in((tmp_path / "page.html").read_text())["runs"]) == 1


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no record.json"):
        called(REPORT, str(tmp_path / "nowhere"), "--out", str(tmp_path / "page.html"))


def test_a_page_says_whether_it_was_simulated_or_measured(tmp_path: Path) -> None:
    replayed = write_records(tmp_path / "replayed", [a_record()])
    measured = write_records(tmp_path / "measured", [a_record() | {"kind": "live", "simulated": False}])
    told = [data_in(page_of(folder, tmp_path / "page.html"))["meta"] for folder in (replayed, measured)]
    assert [(meta["simulated"], meta["title"]) for meta in told] == [(True, "1 replay"), (False, "1 live run")]


def test_what_was_measured_and_what_was_simulated_are_never_on_one_page(tmp_path: Path) -> None:
    write_records(tmp_path / "replayed", [a_record()])
    write_records(tmp_path / "measured", [a_record() | {"kind": "live", "simulated": False}])
    assert "never stand in one column" in refused(REPORT, str(tmp_path), "--out", str(tmp_path / "page.html"))
