"""The page's arithmetic, run by node where it is installed."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from offramp_evaluation.report.page import PARTS, SCRIPTS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")
PURE = ("numbers.js", "choice.js")


def evaluated(expression: str) -> Any:
    """What an expression is, in which `numbers` and `choice` are the page's."""
    scripts = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in PURE)
    program = f"{scripts}\nconst {{ numbers, choice }} = offrampReport;\nconsole.log(JSON.stringify({expression}));"
    assert NODE is not None
    run = subprocess.run([NODE, "-e", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_read(name: str) -> None:
    assert NODE is not None
    run = subprocess.run([NODE, "--check", PARTS / name], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""


def test_the_front_is_what_no_point_beats() -> None:
    points = [{"cost": 3, "good": 0.9}, {"cost": 1, "good": 0.8}, {"cost": 2, "good": 0.7}, {"cost": 1, "good": 0.6}]
    unknown = {"cost": None, "good": 1}
    assert evaluated(f"numbers.front({json.dumps([*points, unknown])})") == [points[1], points[0]]


def test_numbers_are_shown_with_three_digits_and_their_unit() -> None:
    shown = evaluated(
        "[numbers.format.ms(0.1234), numbers.format.ms(35.21), numbers.format.ms(1234.5), numbers.format.ms(12345),"
        " numbers.format.ms(null), numbers.format.bytes(921), numbers.format.bytes(16380), numbers.format.bytes(2.5e6),"
        " numbers.format.percent(0.945), numbers.format.percent(0.0021), numbers.format.percent(1),"
        " numbers.format.rate(250), numbers.format.rate(20000)]"
    )
    assert shown == [
        *("0.123 ms", "35.2 ms", "1,235 ms", "12.3 s", "·"),
        *("921 B", "16.4 kB", "2.50 MB", "94.5 %", "0.21 %", "100 %", "250 kbit/s", "20.0 Mbit/s"),
    ]


def test_quantiles_lie_between_neighbours_and_ticks_are_round() -> None:
    assert evaluated("[numbers.quantile([1, 2, 4], 0.25), numbers.quantile([], 0.5)]") == [1.5, None]
    assert evaluated("numbers.ticks(0, 100, 5)") == [0, 20, 40, 60, 80, 100]
    assert evaluated("numbers.logTicks(1, 100)") == [1, 2, 5, 10, 20, 50, 100]


def a_point(row: int, accuracy: float, mean: float | None) -> dict[str, Any]:
    usual = dict.fromkeys(("p50", "p95", "p99", "bytes", "hits", "changes", "regret", "joules"))
    ranges = {"accuracy_range": [0.8, 1.0], "mean_range": [None, None]}
    lists = {"answered": [1, 0, 0, 0], "steps": [1.0, 2.0], "quantiles": [mean or 0.0, 9.0], "exits": {"4": 1.0}}
    return {"row": row, "n": 10, "accuracy": accuracy, "mean": mean, **usual, **ranges, **lists}


def test_rows_are_pooled_over_the_chosen_runs() -> None:
    rows = [{"name": "one", "about": "", "strategy": True, "deployable": True}]
    runs = [{"at": [place], "rows": [a_point(0, 0.8 + 0.1 * place, 10.0 * place)]} for place in range(2)]
    both, second = evaluated(
        f"[[-1], [1]].map((at) => choice.pool(choice.chosen({json.dumps(runs)}, at), {json.dumps(rows)})[0])"
    )
    assert (both["runs"], both["mean"], both["n"]) == (2, 5.0, 20)
    assert both["quantiles"] == {"0": 0, "1": 9, "2": 9, "3": 10}
    assert (second["runs"], second["mean"], second["accuracy_range"]) == (1, 10.0, [0.8, 1.0])


def test_what_has_no_value_is_sorted_last_whichever_way() -> None:
    points = [{"name": name, "mean": mean, "answered": [0]} for name, mean in (("a", None), ("b", 2), ("c", 1))]
    order = f"choice.sorted({json.dumps(points)}, 'mean', down).map((one) => one.name).join('')"
    names = evaluated(f"[false, true].map((down) => {order})")
    assert names == ["cba", "bca"]


def test_no_two_of_forty_rows_look_alike() -> None:
    rows = [{"strategy": place % 3 == 0} for place in range(40)]
    looks = evaluated(f"choice.looks({json.dumps(rows)})")
    assert len({(one["colour"], one["shape"]) for one in looks}) == 40
    assert looks[0]["colour"] == "#0072b2"
