"""The report in a browser, at a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offramp_evaluation.report.page import write_page
from offramp_evaluation.report.records import read_records
from tests.support.browser import MISSING, Browser
from tests.support.records import ROWS, a_record, many_runs, write_records

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

FIGURES = ("pareto-latency", "pareto-bytes", "distribution", "steps", "answered", "exits", "timeline")
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    records = [a_record(seed=seed, trace=trace) for seed in (0, 1) for trace in ("lte", "wifi")]
    write_page(read_records([write_records(folder, records)]), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module", params=[DESK, PHONE], ids=["desk", "phone"])
def browser(request: pytest.FixtureRequest, page: Path) -> Iterator[Browser]:
    with Browser(*request.param) as found:
        yield found


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


def test_it_opens_without_a_complaint_and_draws_everything(opened: Browser, tmp_path: Path) -> None:
    assert opened.console() == []
    drawn = {name: opened.ask(f"document.querySelectorAll('#{name} svg *').length") for name in FIGURES}
    assert [name for name, count in drawn.items() if count < 10] == []
    assert opened.ask("document.querySelectorAll('#table tbody tr').length") == len(ROWS)
    opened.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_nothing_is_wider_than_the_window(opened: Browser) -> None:
    assert opened.ask("document.documentElement.scrollWidth <= innerWidth")


def test_pointing_at_something_tells_about_it(opened: Browser) -> None:
    opened.point_at("#pareto-latency .point circle")
    assert opened.ask("document.getElementById('tip').hidden") is False
    told = opened.ask("document.getElementById('tip').textContent")
    assert "accuracy" in told
    assert any(name in told for name in ROWS)


def test_pointing_at_a_moment_tells_what_every_row_took_then(opened: Browser) -> None:
    opened.point_at("#timeline .glass")
    told = opened.ask("document.getElementById('tip').textContent")
    assert "link" in told
    assert "Mbit/s" in told
    assert "search" in told


def test_the_table_filters_and_sorts(opened: Browser) -> None:
    names = "[...document.querySelectorAll('#table tbody td:first-child')].map((cell) => cell.textContent)"
    opened.type("#search", "search")
    assert sorted(opened.ask(names)) == ["search", "steady:search"]
    opened.ask("(document.getElementById('search').value = '', document.getElementById('search').oninput())")
    opened.click("#table th:first-child")
    assert opened.ask(names) == sorted(ROWS)
    opened.click("#table th:first-child")
    assert opened.ask(names) == sorted(ROWS, reverse=True)


def test_choosing_a_value_of_an_axis_leaves_its_runs(opened: Browser) -> None:
    assert "Means over 4 runs" in opened.ask("document.getElementById('pooling').textContent")
    opened.ask("(s => { s.value = '1'; s.onchange(); })(document.querySelector('#axes select'))")
    assert "Means over 2 runs" in opened.ask("document.getElementById('pooling').textContent")
    assert opened.ask("document.querySelectorAll('#run option').length") == 2


def test_a_row_can_be_hidden(opened: Browser) -> None:
    opened.ask("document.querySelector('[data-chip=\"2\"]').click()")
    assert opened.ask("document.querySelectorAll('#table tbody tr').length") == len(ROWS) - 1
    assert opened.ask("document.querySelector('[data-chip=\"2\"]').getAttribute('aria-pressed')") == "false"


def test_the_theme_follows_its_button(opened: Browser) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    before = opened.ask(paper)
    opened.click("#theme")
    assert opened.ask(paper) != before


def test_500_runs_open_without_a_complaint(tmp_path: Path) -> None:
    write_page(many_runs(500), tmp_path / "many.html")
    with Browser(*DESK) as browser:
        browser.open(tmp_path / "many.html")
        assert browser.console() == []
        assert "Means over 500 runs" in browser.ask("document.getElementById('pooling').textContent")
