"""The tables that the gallery's chapter is made of."""

import pytest

from benchmarks.gallery import SCENARIOS, chapter, record_of, settings_of
from offramp_evaluation.sweep.rows import AXES


def line(row: str, mean: float, *, slowdown: str = "10", seed: str = "0", strategy: bool = False) -> dict[str, object]:
    axes = dict.fromkeys(AXES, "") | {"device.slowdown": slowdown, "seed": seed}
    return axes | {"row": row, "strategy": strategy, "latency_mean": mean, "accuracy": 0.9, "joules": None}


def test_settings_stand_in_order_each_a_mean_over_seeds() -> None:
    found = [line("oracle", 0.4, slowdown="30"), line("oracle", 0.1), line("oracle", 0.3, seed="1")]
    settings = list(settings_of(found))
    assert [one["axes"] for one in settings] == [{"device.slowdown": "10"}, {"device.slowdown": "30"}]
    assert settings[0]["rows"]["oracle"]["latency_mean"] == pytest.approx(0.2)


def test_of_picture_formats_the_fastest_has_the_column() -> None:
    found = [
        line("all at the edge: png", 0.5),
        line("all at the edge: jpeg:50", 0.2),
        line("search", 0.1, strategy=True),
    ]
    (setting,) = settings_of(found)
    assert set(setting["rows"]) == {"search", "best picture format"}
    assert setting["rows"]["best picture format"]["is"] == "jpeg:50"


def test_a_scenario_becomes_a_table() -> None:
    told = chapter([record_of(SCENARIOS / "overloaded-edge.toml", ["load.samples=20"])])
    header, _, *rows = told.splitlines()[4:7] + told.splitlines()[7:]
    assert header.startswith("| edge.slowdown | all on the device | best picture format | best static plan | search |")
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 12", "| 30"]
