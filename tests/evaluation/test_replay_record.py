import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.errors import UnknownNameError
from offramp.measure.energy import RADIOS, EnergyModel
from offramp.plan import ExitRule
from offramp.planning.objective import parse_objective
from offramp.tape.reader import Tape
from offramp.units import BitsPerSecond, Seconds
from offramp_evaluation.replay.experiment import Experiment
from offramp_evaluation.replay.record import Row, record_of
from offramp_evaluation.traces import generate
from tests.support.manifests import a_manifest
from tests.support.plans import a_candidate, a_profile, some_candidates
from tests.support.tapes import write_a_tape

MANIFEST = a_manifest()
BOARD = a_profile((0.0, 0.010, 0.020, 0.030, 0.040))
EDGE = a_profile((0.0, 0.0003, 0.0006, 0.0009, 0.0012))
END = MANIFEST.end
SURE = ExitRule(policy="confidence", thresholds=((2, 0.99),))
CANDIDATES = some_candidates(
    a_candidate(END, codec="none"),
    a_candidate(0, codec="jpeg:90"),
    a_candidate(1),
    a_candidate(END, exit=SURE, codec="none", reach=(1.0,), offload=0.5),
)
STEPPING = generate.step(
    [(Seconds(5), BitsPerSecond(50e6)), (Seconds(1000), BitsPerSecond(200e3))], delay=Seconds(0.005)
)
INPUTS = {"bundle": "seeded"}


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_a_tape(Path(tmp_path_factory.mktemp("tape")) / "seeded.tape", MANIFEST)


def an_experiment(tape: Tape, **changes: Any) -> Experiment:
    usual = {"rate": 10.0, "samples": 150, "strategies": ("search",), "drop": 1.0 - 1e-9}
    return Experiment(
        manifest=MANIFEST,
        candidates=CANDIDATES,
        tape=tape,
        device=BOARD,
        edge=EDGE,
        up=STEPPING,
        down=STEPPING,
        **(usual | changes),
    )


def rows_of(tape: Tape, **changes: Any) -> dict[str, Row]:
    return {row.name: row for row in an_experiment(tape, **changes).rows()}


@pytest.fixture(scope="module")
def rows(tape: Tape) -> dict[str, Row]:
    """Of the usual experiment: what has no changes of its own shares it."""
    return rows_of(tape)


def recorded(rows: dict[str, Row], energy: str | None = None) -> dict[str, Any]:
    labels = MANIFEST.labels
    return record_of(
        list(rows.values()), INPUTS, against="search", block=50, labels=labels, link=STEPPING, energy=energy
    )


def named(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in record["rows"] if row["name"] == name)


def test_a_strategy_follows_the_link_and_no_row_is_faster_than_the_oracle(rows: dict[str, Row]) -> None:
    assert rows["search"].plan_changes >= 1
    assert rows["search"].mean < rows["all on the device"].mean
    assert min(row.mean for row in rows.values()) == rows["oracle"].mean
    assert not rows["oracle"].deployable


def test_every_named_strategy_has_its_row_and_an_unknown_one_is_refused(tape: Tape) -> None:
    assert {"search", "all-device"} < set(rows_of(tape, strategies=("search", "all-device", "search")))
    with pytest.raises(UnknownNameError, match="searhc"):
        an_experiment(tape, strategies=("searhc",)).contestants()


def test_the_same_experiment_is_recorded_byte_for_byte(tape: Tape) -> None:
    texts = [json.dumps(recorded(rows_of(tape, devices=2, samples=40))) for _ in range(2)]
    assert texts[0] == texts[1]


def test_regret_is_what_the_oracle_would_have_spared(rows: dict[str, Row]) -> None:
    record = recorded(rows)
    regret = named(record, "all on the device")["regret"]
    assert regret["difference"] == pytest.approx(rows["all on the device"].mean - rows["oracle"].mean)
    assert named(record, "oracle")["regret"] is None


def test_forecasts_are_held_against_what_came(tape: Tape) -> None:
    record = recorded(rows_of(tape, strategies=("search", "fixed:split=end")))
    error = named(record, "fixed:split=end")["prediction_error"]
    # Nothing is uncertain about a board that works alone.
    assert error == {"stretches": 1, "median": pytest.approx(0.0, abs=1e-6), "p95": pytest.approx(0.0, abs=1e-6)}
    assert named(record, "all on the device")["prediction_error"] is None


def test_energy_grows_with_power_and_radio_and_carries_its_model(tape: Tape) -> None:
    model = EnergyModel(compute_w=2.0, radio=RADIOS["none"])
    rows = rows_of(tape, energy=model)
    alone = named(recorded(rows, model.label), "all on the device")["energy"]
    assert alone == {"joules": pytest.approx(2.0 * 0.040, rel=1e-6), "model": model.label}
    with_radio = rows_of(tape, energy=EnergyModel(compute_w=2.0, radio=RADIOS["lte"]))
    # Pings keep a connection up that is not used otherwise: little, but not nothing.
    silent, sent = "all on the device", "all at the edge: jpeg:90"
    assert 0 < with_radio[silent].joules - rows[silent].joules < with_radio[sent].joules - rows[sent].joules


def test_without_a_model_there_is_no_energy(rows: dict[str, Row]) -> None:
    assert {row["energy"] for row in recorded(rows)["rows"]} == {None}


def test_a_record_tells_every_class_and_every_one_of_several_devices(tape: Tape) -> None:
    rows = rows_of(tape, devices=2, samples=50)
    row = named(recorded(rows), "all on the device")
    assert sum(one["samples"] for one in row["classes"].values()) == 100
    right = sum(one["accuracy"] * one["samples"] for one in row["classes"].values() if one["samples"])
    assert right / 100 == pytest.approx(row["summary"]["accuracy"])
    assert {name: one["samples"] for name, one in row["devices"].items()} == {"device 0": 50, "device 1": 50}


def test_one_device_is_told_by_its_row(rows: dict[str, Row]) -> None:
    assert named(recorded(rows), "search")["devices"] == {}


def test_recorded_arrivals_are_kept(tape: Tape) -> None:
    burst = np.array([0.0, 0.001, 0.002, 5.0])
    row = rows_of(tape, arrivals=burst, samples=4)["all on the device"]
    # Three at once wait for each other, the fourth for nobody.
    assert sorted(row.outcomes.latency_N.tolist()) == pytest.approx([0.040, 0.040, 0.079, 0.118], abs=1e-6)


def test_steps_add_up_to_the_latency_and_say_where_it_went(rows: dict[str, Row]) -> None:
    record = recorded(rows)
    for row in record["rows"]:
        assert sum(row["views"]["steps"].values()) == pytest.approx(row["summary"]["latency"]["mean"])
    sent = named(record, "all at the edge: jpeg:90")["views"]["steps"]
    assert sent["uplink"] > sent["downlink"] > 0.005  # the way back carries little, but has its delay
    assert named(record, "all on the device")["views"]["steps"]["device"] == pytest.approx(0.040)


def test_a_time_line_shows_the_link_and_what_was_done_about_it(rows: dict[str, Row]) -> None:
    record = recorded(rows)
    assert record["link"]["every"] == 1.0
    assert record["link"]["bandwidth"][4:6] == [pytest.approx(50e6), pytest.approx(200e3)]
    line = named(record, "search")["views"]["timeline"]
    assert len(line["latency"]) == len(record["link"]["bandwidth"]) == 15
    assert line["plan"][2] != line["plan"][-1]
    assert sum(line["edge"][:5]) > sum(line["edge"][-5:])


def test_quantiles_run_from_the_fastest_sample_to_the_slowest(rows: dict[str, Row]) -> None:
    quantiles = named(recorded(rows), "search")["views"]["latency_quantiles"]
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] == pytest.approx(rows["search"].summary.latency.max)


def test_baselines_that_are_not_asked_for_have_no_row(tape: Tape) -> None:
    assert list(rows_of(tape, samples=20, baselines=("static",))) == ["best static plan", "search"]


def test_an_objective_takes_the_place_of_drop_and_deadline(tape: Tape) -> None:
    wanted = parse_objective("minimise=bytes, drop=any, deadline=2s")
    row = rows_of(tape, samples=50, objective=wanted)["search"]
    assert row.deadline == 2.0
    assert row.summary.wire_bytes_total == 0
