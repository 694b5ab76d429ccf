"""The final table and its record."""

import json
from typing import Any

from rich.console import Console

from offramp.plan import Plan
from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.oracle import Foreseen
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.report import Standing, final_report, record, standing
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import summarise
from offramp_evaluation.road.news import NewPlan
from tests.support.outcomes import an_outcome

SCRIPT = Script(seconds=Seconds(2.0), rate=20.0)
END = 4


def a_standing(name: str, *, latency: float = 0.05, rejects: bool = False, planned: bool = False) -> Standing:
    contender = Contender(name=name, about=f"about {name}", plan=None if planned else Plan(split=END))
    run = Run(contender=contender, script=SCRIPT)
    for frame in range(SCRIPT.frames):
        lost = rejects and 120 <= frame < 160
        answer: dict[str, Any] = {"answered": Answered.REJECTED, "label": None, "exit": None} if lost else {}
        run.add(an_outcome(index=frame, latency=Seconds(latency + 0.001 * (frame % 4)), **answer))
    if planned:
        for phase in range(5):
            plan = str(Plan(split=phase, codec="none"))
            run.planned(NewPlan(plan=plan, revision="1.1", predicted=Seconds(0.02)), Seconds(2.0 * phase + 0.4))
    return standing(run)


def shown(*standings: Standing, width: int = 100, foreseen: Foreseen | None = None) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(final_report(standings, SCRIPT, END, 30.0, foreseen))
    return console.export_text()


def test_the_table_has_a_line_for_every_run_in_every_phase_and_overall() -> None:
    lines = shown(a_standing("one"), a_standing("two")).splitlines()
    assert sum(" one " in line and "100.0" in line for line in lines) == len(SCRIPT.phases) + 1
    assert sum(" two " in line and "100.0" in line for line in lines) == len(SCRIPT.phases) + 1


def test_the_report_fits_a_hundred_columns_with_wide_numbers() -> None:
    text = shown(a_standing("device only", latency=9.999), a_standing("Offramp", planned=True))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_what_is_emulated_is_said() -> None:
    text = " ".join(shown(a_standing("one")).split())
    assert "Emulated: the link (a user-space shaper) and the board (every stage takes 30 times as long" in text


def test_a_phase_without_an_answer_shows_no_latency() -> None:
    outage = a_standing("one", rejects=True)
    line = next(line for line in shown(outage).splitlines() if line.strip().startswith("outage"))
    assert line.split()[1:6] == ["one", "0.0", "–", "–", "–"]


def test_the_orders_of_a_planned_run_are_listed_by_phase_with_their_delay() -> None:
    assert "outage: after 0.4 s split=3, exit=none, codec=none" in shown(a_standing("Offramp", planned=True))


def test_a_planned_run_is_called_faster_only_where_the_frames_say_so() -> None:
    text = shown(a_standing("slow", latency=0.09), a_standing("same"), a_standing("Offramp", planned=True))
    assert "against slow, frame by frame: -40.0 ms" in text
    assert "to -40.0: faster" in text
    assert "to +0.0: no difference shown" in text


def test_a_replayed_row_is_labelled_and_said_to_be_simulated() -> None:
    foreseen = Foreseen(summary=summarise([an_outcome(index=0)]), about="replayed")
    text = shown(a_standing("one"), foreseen=foreseen)
    assert any(line.split()[:2] == ["replayed", "oracle"] for line in text.splitlines())
    assert "the oracle's row is SIMULATED" in " ".join(text.split())


def test_the_record_is_json_and_holds_every_number() -> None:
    standings = [a_standing("one", rejects=True), a_standing("Offramp", planned=True)]
    content = json.loads(json.dumps(record(standings, SCRIPT, {"rate": 5.0}), allow_nan=False))
    run, planned = content["runs"]
    assert (len(run["phases"]), run["overall"]["frames"], run["phases"][3]["mean"]) == (5, SCRIPT.frames, None)
    assert (run["plan"], planned["plan"]) == ("split=4, exit=none, codec=none", None)
    assert [round(delay, 3) for delay in planned["followed"]] == [0.4] * 5
    assert set(content["comparisons"]) == {"one"}
