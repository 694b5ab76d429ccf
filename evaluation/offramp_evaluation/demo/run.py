"""The runs: every contender over the same frames, while the link follows the script.

frames ─► offramp device ─► offramp shape ─► offramp edge        processes, started by Road
              ▲                 ▲ follows the script
              └ plan ── offramp orchestrate                      notices by itself
"""

from collections.abc import Sequence

from offramp.clock import Clock
from offramp.errors import OfframpError
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.report import Standing, standing
from offramp_evaluation.demo.screen import Screen
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome, outcome_of
from offramp_evaluation.road.child import Event
from offramp_evaluation.road.lines import is_result, read_result
from offramp_evaluation.road.news import NewPlan, read_news
from offramp_evaluation.road.road import Road, Source

TICK = Seconds(0.02)
"""The longest wait for a word of the device before the screen is looked after."""
LEAD = Seconds(0.2)
"""Between the cue and the first frame: until then every process has heard of it."""
PATIENCE = Seconds(20.0)
"""The longest silence of a device that is well: it starts within two seconds and answers within one."""


def run_all(
    road: Road, contenders: Sequence[Contender], script: Script, source: str, screen: Screen, clock: Clock
) -> tuple[Standing, ...]:
    """One after the other: together they would slow each other down.

    Raises:
        OfframpError: A child ended in the middle, or fell silent.
    """
    standings = []
    for number, contender in enumerate(contenders, start=1):
        run = Run(contender=contender, script=script)
        screen.begin(run, number, len(contenders))
        run_one(road, run, source, screen, clock)
        standings.append(standing(run))
    return tuple(standings)


def run_one(road: Road, run: Run, source: str, screen: Screen, clock: Clock) -> list[Outcome]:
    """One contender over all frames of a source; returns one outcome for each of them."""
    script = run.script
    road.set_link(script.phases[0].link)
    flags = ["--source", source, "--rate", str(script.rate), "--limit", str(script.frames), "--cue"]
    with road.devices([Source(name="board", flags=flags)], run.contender.plan) as (device,):
        heard = clock.now()
        first_due = Seconds(heard + LEAD)
        device.cue(first_due)
        road.follow(script.schedule, first_due)
        while len(run.outcomes) < script.frames:
            for line in device.hear(TICK):
                heard = clock.now()
                _take(run, line, Seconds(heard - first_due))
            elapsed = Seconds(clock.now() - first_due)
            if first_due + elapsed - heard > PATIENCE:
                raise OfframpError(f"the device said nothing for {PATIENCE:g} s after {len(run.outcomes)} frames")
            run.phase = script.phase_at(elapsed)
            road.check()
            screen.update()
    return run.outcomes


def _take(run: Run, line: Event, elapsed: Seconds) -> None:
    if is_result(line):
        run.add(outcome_of(read_result(line)))
    elif isinstance(news := read_news(line), NewPlan):
        run.planned(news, elapsed)
    elif news is not None:
        run.believed = news
