"""The final table and its record."""

import json

from rich.console import Console

from offramp.plan import Plan
from offramp.records import Answered
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.report import Standing, final_report, record, standing
from offramp_evaluation.demo.script import Script
from tests.support.outcomes import an_outcome

SCRIPT = Script(seconds=Seconds(2.0), rate=5.0)
END = 4


def a_standing(name: str, *, latency: float = 0.05, rejects: bool = False, plans: tuple[Plan, ...] = ()) -> Standing:
    contender = Contender(name=name, about=f"about {name}", plans=plans or (Plan(split=END),) * 5)
    outcomes = [an_outcome(index=frame, latency=Seconds(latency)) for frame in range(SCRIPT.frames)]
    if rejects:
        outcomes[30:40] = [
            an_outcome(index=frame, answered=Answered.REJECTED, label=None, exit=None) for frame in range(30, 40)
        ]
    return standing(contender, outcomes, SCRIPT)


def shown(*standings: Standing, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(final_report(standings, SCRIPT, END, 30.0))
    return console.export_text()


def test_the_table_has_a_line_for_every_run_in_every_phase_and_overall() -> None:
    lines = shown(a_standing("one"), a_standing("two")).splitlines()
    assert sum(" one " in line and "100.0" in line for line in lines) == len(SCRIPT.phases) + 1
    assert sum(" two " in line and "100.0" in line for line in lines) == len(SCRIPT.phases) + 1


def test_the_report_fits_a_hundred_columns_with_wide_numbers() -> None:
    wide = a_standing("device only", latency=9.999)
    text = shown(wide, a_standing("Offramp", plans=tuple(Plan(split=cut) for cut in range(5))))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_what_is_emulated_is_said() -> None:
    text = " ".join(shown(a_standing("one")).split())
    assert "Emulated: the link (a user-space shaper) and the board (every stage takes 30 times as long" in text


def test_a_phase_without_an_answer_shows_no_latency() -> None:
    outage = a_standing("one", rejects=True)
    line = next(line for line in shown(outage).splitlines() if line.strip().startswith("outage"))
    assert line.split()[1:6] == ["one", "0.0", "–", "–", "–"]


def test_the_plans_of_a_run_that_adapts_are_listed_by_phase() -> None:
    text = shown(a_standing("Offramp", plans=tuple(Plan(split=cut, codec="none") for cut in range(5))))
    assert "outage: split=3, exit=none, codec=none" in text


def test_the_record_is_json_and_holds_every_number() -> None:
    content = json.loads(json.dumps(record([a_standing("one", rejects=True)], SCRIPT, {"rate": 5.0}), allow_nan=False))
    run = content["runs"][0]
    assert (len(run["phases"]), run["overall"]["frames"], run["phases"][3]["mean"]) == (5, SCRIPT.frames, None)
