import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from offramp.errors import SettingsError
from offramp_evaluation.replay.command import REPLAY


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    REPLAY.configure(parser)
    return REPLAY.run(parser.parse_args(list(arguments)))


def record(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run("--json", *arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def some_arrivals(folder: Path) -> str:
    path = folder / "arrivals.txt"
    path.write_text("".join(f"{0.2 * number + 3}\n" for number in range(30)))
    return str(path)


def test_recorded_arrivals_say_how_many_samples_come_and_how_fast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = record(capsys, "--arrivals", some_arrivals(tmp_path), "--strategies", "search")["inputs"]
    assert (inputs["arrivals"], inputs["samples"], inputs["rate"]) == ("recorded", 30, pytest.approx(5.0))


def test_the_table_says_that_it_is_simulated_and_by_which_model_energy_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--samples", "20", "--strategies", "search", "--power", "3.5", "--radio", "wifi", "--classes") == 0
    shown = capsys.readouterr().out
    assert "SIMULATED" in shown
    assert "modelled: 3.5 W computing, wifi radio" in shown
    assert "accuracy by class" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "0"], "--samples 0"),
        (["--radio", "lte"], "give the board's power too"),
        (["--power", "-1"], "--power -1 W is no power"),
        (["--strategies", " , "], "names none; give at least one"),
        (["--arrivals", "ARRIVALS", "--samples", "31"], "--samples 31 are more than the 30 arrivals"),
        (["--arrivals", "ARRIVALS", "--samples", "1"], "tell no rate"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_a_way_out(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(*[some_arrivals(tmp_path) if word == "ARRIVALS" else word for word in arguments])


def test_a_fixed_plan_among_strategies_keeps_its_commas(capsys: pytest.CaptureFixture[str]) -> None:
    names = "search; fixed:split=end, exit=confidence:0.9"
    rows = record(capsys, "--samples", "20", "--strategies", names)["rows"]
    assert "fixed:split=end, exit=confidence:0.9" in {row["name"] for row in rows}
