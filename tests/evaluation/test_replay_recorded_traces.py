from pathlib import Path

import numpy as np
import pytest

from offramp.planning.resolve import resolve
from offramp.units import Seconds
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Fixed
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.traces.formats import read_trace
from tests.support.manifests import a_manifest
from tests.support.plans import a_profile
from tests.support.tapes import write_a_tape

SAMPLES, RATE = 100, 5.0


@pytest.mark.data
def test_every_recorded_trace_is_replayed_to_one_result_a_sample(data_root: Path, tmp_path: Path) -> None:
    manifest = a_manifest()
    tape = write_a_tape(tmp_path / "seeded.tape", manifest)
    board, edge = a_profile((0.0, 0.010, 0.020, 0.030, 0.040)), a_profile((0.0, 0.0003, 0.0006, 0.0009, 0.0012))
    device = DeviceScript(
        name="a",
        rows=np.arange(SAMPLES),
        arrivals=arrivals.fixed(RATE, SAMPLES),
        driver=Fixed(resolve("split=2, exit=confidence:0.9", manifest)),
        profile=board,
    )
    files = sorted(path for path in (data_root / "net_traces").rglob("*") if path.is_file())
    answered = {}
    for file in files:
        link = read_trace(file).delayed(Seconds(0.02))
        scenario = Scenario(tape=tape, manifest=manifest, devices=(device,), edge=edge, up=link, down=link)
        answered[file.name] = {result.index for result in replay(scenario).results}
    assert len(files) > 250
    assert [name for name, found in answered.items() if found != set(range(SAMPLES))] == []
