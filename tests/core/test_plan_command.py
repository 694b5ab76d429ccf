"""`offramp plan`, on the demo's bundle and the profile that ships with it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from offramp.bundle.shipped import find_bundle
from offramp.errors import BundleError
from offramp.inspect.plan_command import PLAN
from tests.support.commands import called, refused

PROFILE = find_bundle("demo").with_name("demo-profile.json")
HOSTS = ("--device-profile", str(PROFILE), "--edge-profile", str(PROFILE))
LINK = ("--bandwidth", "2mbit", "--rtt", "20ms", "--rate", "10", "--slowdown", "20")
COMMAND = ("--bundle", "demo", *LINK, *HOSTS)


def said(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert called(PLAN, *COMMAND, *flags) == 0
    return capsys.readouterr().out


def record(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, "--json", *flags))
    return found


def test_the_page_says_the_plan_why_and_the_situation(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys)
    assert re.search(r"^plan +split=\d", page, re.MULTILINE)
    assert re.search(r"^why .* ms on average, the least of \d+ plans that hold the objective$", page, re.MULTILINE)
    assert "2.00 Mbit/s, round trip 20.0 ms, 10 samples a second in step" in page


def test_the_milliseconds_of_each_row_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """To the mean, but for rounding; and the bars are as long as the sums say."""
    table = said(capsys).split("ms of an average sample")[1]
    rows = [line[32:].split() for line in table.splitlines() if re.match(r"[→ ✗] split", line) and "." in line[32:]]
    assert len(rows) == 6
    for *parts, total in rows:
        assert sum(float(part) for part in parts if part != "·") == pytest.approx(float(total), abs=0.31)


def test_runners_up_are_of_other_kinds_and_none_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    found = record(capsys)
    runners = found["runners_up"]
    kinds = {re.sub(r"(exit=\w+).*", r"\1", runner["plan"]) for runner in runners}
    assert len(kinds) == len(runners) == 5
    assert all(runner["forecast"]["mean"] >= found["forecast"]["mean"] for runner in runners if runner["holds"])


def test_the_page_says_what_a_request_takes_by_each_codec_of_the_split(capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "--strategy", "all-edge:jpeg")
    why, table = page[page.index("why jpeg") :].split("\n\n")
    assert re.match(
        r"why jpeg:\d+, by what a request takes at split 0 .*: webp:\d+ would take .* less, but may lose", why
    )
    assert len(re.findall(r"^→ +jpeg", table, re.MULTILINE)) == 1
    assert page.count("webp") > 1


def test_a_plan_that_sends_nothing_has_no_codec_to_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert "by what a request takes" not in said(capsys, "--strategy", "all-device")
    assert record(capsys, "--strategy", "all-device")["codecs"] == []


def test_the_codecs_of_the_record_are_the_quickest_first_and_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    costs = record(capsys, "--strategy", "all-edge")["codecs"]
    totals = [cost["total"] for cost in costs]
    assert totals == sorted(totals)
    parts = ("head", "encode", "transmit", "decode", "tail")
    assert all(sum(cost[part] for part in parts) == pytest.approx(cost["total"]) for cost in costs)
    assert all(cost["transmit"] == pytest.approx(8 * cost["wire_bytes"] / 2e6) for cost in costs)


def test_the_record_has_si_units_and_parts_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    found = record(capsys)
    assert found["situation"]["bandwidth"] == 2e6
    assert sum(found["forecast"]["parts"].values()) == pytest.approx(found["forecast"]["mean"])


def test_the_objective_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    frugal = record(capsys, "--objective", "minimise=bytes, drop=0.5%")
    assert frugal["forecast"]["wire_bytes"] == 0
    assert frugal["forecast"]["loss_high"] <= 0.005
    assert record(capsys, "--objective", "minimise=energy", "--power", "3.5")["forecast"]["energy"] > 0


def test_a_strategy_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert record(capsys, "--strategy", "all-device")["plan"] == "split=8, exit=none, codec=none"
    page = said(capsys, "--strategy", "fixed:split=0, codec=jpeg:13")
    assert "none of the bundle's candidates" in page


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--slowdown", "0.5"), "at least 1"),
        (("--objective", "minimise=energy"), "--power"),
        (("--power", "-1"), "0 W or more"),
        (("--radio", "wiffi"), "did you mean 'wifi'"),
        (("--rate", "-1"), "rate is 0 or more"),
        (("--strategy", "serch"), "did you mean 'search'"),
        (("--bandwidth", "2mbps"), "a rate such as 2mbit"),
    ],
)
def test_a_wrong_flag_is_explained(flags: tuple[str, ...], hint: str) -> None:
    assert hint in refused(PLAN, *COMMAND, *flags)


def test_a_profile_of_another_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(re.sub('"model_digest": "[0-9a-f]+"', '"model_digest": "0"', PROFILE.read_text()))
    assert "of another model" in refused(PLAN, *COMMAND, "--edge-profile", str(other))


def test_any_other_name_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_bundle("./demo") == Path("demo")
    monkeypatch.setattr("offramp.bundle.shipped.find_spec", lambda _name: None)
    with pytest.raises(BundleError, match=r"offramp\[demo\]"):
        find_bundle("demo")
