"""The runs: every contender over the same frames, while the link follows the script.

frames ─► offramp device ─► offramp shape ─► offramp edge        processes, started by Road
              ▲                 ▲ link
              │                 └── run_one                      what changes when a phase begins
              └ plan ── offramp orchestrate                      notices by itself
"""

from collections.abc import Sequence

from offramp.clock import Clock
from offramp.errors import OfframpError
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.news import NewPlan
from offramp_evaluation.demo.progress import Run
from offramp_evaluation.demo.report import Standing, standing
from offramp_evaluation.demo.road import Road
from offramp_evaluation.demo.screen import Screen
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome

TICK = Seconds(0.02)
"""How late a change of the link may come."""
PATIENCE = Seconds(20.0)
"""The longest silence of a device that is well: it starts within two seconds and answers within one."""


def run_all(
    road: Road, contenders: Sequence[Contender], script: Script, screen: Screen, clock: Clock
) -> tuple[Standing, ...]:
    """One after the other: together they would slow each other down.

    Raises:
        OfframpError: A child ended in the middle, or fell silent.
    """
    standings = []
    for number, contender in enumerate(contenders, start=1):
        run = Run(contender=contender, script=script)
        screen.begin(run, number, len(contenders))
        run_one(road, run, screen, clock)
        standings.append(standing(run))
    return tuple(standings)


def run_one(road: Road, run: Run, screen: Screen, clock: Clock) -> list[Outcome]:
    """One contender over all frames; returns one outcome for each of them."""
    script = run.script
    road.set_link(script.phases[0].link)
    with road.device(run.contender, script) as device:
        first_due: Seconds | None = None
        heard = clock.now()
        while len(run.outcomes) < script.frames:
            for said in device.hear(TICK):
                heard = clock.now()
                if isinstance(said, Outcome):
                    run.add(said)
                    if first_due is None:
                        # The device's clock starts with its first frame; its first answer tells when that was.
                        first_due = Seconds(heard - said.latency - said.index / script.rate)
                elif isinstance(said, NewPlan):
                    run.planned(said, None if first_due is None else Seconds(heard - first_due))
                else:
                    run.believed = said
            now = clock.now()
            if now - heard > PATIENCE:
                raise OfframpError(f"the device said nothing for {PATIENCE:g} s after {len(run.outcomes)} frames")
            if first_due is not None and (phase := script.phase_at(Seconds(now - first_due))) != run.phase:
                run.phase = phase
                road.set_link(script.phases[phase].link)
                run.entered[phase] = Seconds(clock.now() - first_due)
            road.check()
            screen.update()
    return run.outcomes
