"""The runs: every contender over the same frames, while the link follows the script.

frames ─► offramp device ─► offramp shape ─► offramp edge        three processes, started by Road
              ▲ plan            ▲ link
              └──── run_one ────┘                                two things that change, when a phase begins
"""

from collections.abc import Sequence

from offramp.clock import Clock
from offramp.errors import OfframpError
from offramp.records import Revision
from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.report import Standing, standing
from offramp_evaluation.demo.road import DeviceRun, Road
from offramp_evaluation.demo.screen import Run, Screen
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
        standings.append(standing(contender, run_one(road, run, screen, clock), script))
    return tuple(standings)


def run_one(road: Road, run: Run, screen: Screen, clock: Clock) -> list[Outcome]:
    """One contender over all frames; returns one outcome for each of them."""
    script, plans = run.script, run.contender.plans
    road.set_link(script.phases[0].link)
    outcomes: list[Outcome] = []
    with road.device(plans[0], script) as device:
        first_due: Seconds | None = None
        heard = clock.now()
        while len(outcomes) < script.frames:
            outcome = device.next(TICK)
            now = clock.now()
            if outcome is not None:
                outcomes.append(outcome)
                run.add(outcome)
                heard = now
                if first_due is None:
                    # The device's clock starts with its first frame; its first answer tells when that was.
                    first_due = Seconds(now - outcome.latency - outcome.index / script.rate)
            elif now - heard > PATIENCE:
                raise OfframpError(f"the device said nothing for {PATIENCE:g} s after {len(outcomes)} frames")
            if first_due is not None and (phase := script.phase_at(Seconds(now - first_due))) != run.phase:
                _enter(phase, road, device, run)
            road.check()
            screen.update()
    return outcomes


def _enter(phase: int, road: Road, device: DeviceRun, run: Run) -> None:
    before, run.phase = run.contender.plans[run.phase], phase
    road.set_link(run.script.phases[phase].link)
    plan = run.contender.plans[phase]
    if plan != before:
        device.adopt(plan, Revision(1, phase))
