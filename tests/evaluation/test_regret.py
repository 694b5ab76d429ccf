from pathlib import Path
from typing import Any

import pytest

from benchmarks import regret, regret_cells
from offramp.errors import InputError
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.traces import generate
from offramp_evaluation.traces.integral import Integral


def a_run(mean: float, accuracy: float = 0.9) -> dict[str, Any]:
    return {"mean": mean, "accuracy": accuracy, "p95": mean, "wire_bytes": 0.0, "changes": 0}


def a_cell(trace: str, **means: float) -> dict[str, Any]:
    names = {"oracle": "oracle", "search": "search", "static": "best static plan"}
    return {"trace": trace, "runs": {names[name]: a_run(mean) for name, mean in means.items()}}


def claims(*cells: dict[str, Any]) -> dict[str, tuple[float, bool]]:
    return {claim.name: (claim.found, claim.holds) for claim in regret._claims("here", cells)}


def test_the_worst_trace_decides_about_the_oracle() -> None:
    found = claims(a_cell("a", oracle=0.1, search=0.1, static=0.1), a_cell("b", oracle=0.1, search=0.12, static=0.12))
    assert found["here: search / oracle, worst"] == (pytest.approx(1.2), False)


def test_only_traces_that_no_static_plan_suits_are_held_against_it() -> None:
    suited = a_cell("a", oracle=0.1, search=0.11, static=0.12)
    unsuited = a_cell("b", oracle=0.1, search=0.105, static=0.2)
    assert claims(suited, unsuited)["here: search / best static there"] == (pytest.approx(0.525), True)


def test_who_answers_fast_and_wrongly_is_no_oracle() -> None:
    assert regret_cells._fastest({"wrong": a_run(0.01, 0.5), "right": a_run(0.1, 0.9)}, floor=0.88) == "right"


@pytest.mark.parametrize("duration", [7.0, 30.0, 100.0])
def test_every_trace_lasts_as_long_and_a_short_one_is_repeated(duration: float) -> None:
    steps = [(Seconds(duration / 2), BitsPerSecond(1e6)), (Seconds(duration / 2), BitsPerSecond(3e6))]
    trace = regret_cells.lasting(generate.step(steps), 30.0)
    assert trace.duration == 30.0
    assert float(trace.delay_at(0.0)) == regret_cells.DELAY
    carried = 8 * float(Integral(trace).between(0.0, 30.0))
    assert carried == pytest.approx({7.0: 2e6 * 28 + 1e6 * 2, 30.0: 2e6 * 30, 100.0: 1e6 * 30}[duration])


def test_a_bundle_without_its_tape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no tape; write DIR=TAPE"):
        regret._subject("my-model", tmp_path)
