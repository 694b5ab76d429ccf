"""How far branches are to be trusted: one monitor of drift, kept through changes of the plan.

follow(plan, promise) ─► the monitor of its policy ◄── labels ── shadows
                                 └─► caution, estimate, events ─► telemetry, people
"""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.exits.steps import Steps
from offramp.measure.drift import SHADOWED, DriftEvent, DriftMonitor
from offramp.plan import Plan
from offramp.planning.rules import PATHS
from offramp.telemetry import DriftReport

PROMISE = 0.95
"""What is expected of a plan that comes without a promise: one that a person wrote."""


class Trust:
    """Safe from several threads: labels come from that of the stages and from the edge's."""

    def __init__(
        self, shadowed: float = SHADOWED, *, alarmed: Callable[[DriftEvent], None] = lambda _event: None
    ) -> None:
        """`alarmed` hears of changes; `shadowed` is the share of leaving samples that the whole network answers too.

        Where it is 0, nobody is watched.
        """
        self._shadowed = shadowed
        self._alarmed = alarmed
        self._lock = threading.Lock()
        self._monitor: DriftMonitor | None = None
        self._steps: Steps | None = None
        self._base, self._promise = 0, PROMISE
        self._asked: tuple[int, ...] = ()
        self._news = ""

    def follow(self, plan: Plan, promise: float = 0.0) -> None:
        """Another plan is in force, whose exits promise this agreement; 0: nothing is known.

        Caution that was raised stays until the labels say otherwise: a plan that is stricter because of it must not
        look as if nothing had happened. Of a rule over another one, the one whose policy has a path is watched: who
        leaves as a known scene says nothing about how sure branches may be.
        """
        rule = next((part for part in plan.exit.parts if part.thresholds and part.policy in PATHS), None)
        if not self._shadowed or rule is None:
            return  # nobody is watched, or nobody leaves: what is known of those who would stays as it is
        with self._lock:
            self._asked = tuple([cut for cut, _ in rule.thresholds])
            monitor, steps = self._monitor, Steps(rule.policy, PATHS[rule.policy])
            base, caution = steps.of(rule), 0
            same = self._steps is not None and self._steps.policy == rule.policy
            if monitor is not None:
                caution = monitor.caution
                if same and base >= self._base and (caution or monitor.rate > self._shadowed):
                    return  # what it has learned holds for stricter rules too
                if same and (base, promise or PROMISE) == (self._base, self._promise):
                    return
            if caution:
                base, promise = min(base, self._base), self._promise
            self._base, self._promise, self._steps = base, promise or PROMISE, steps
            self._monitor = DriftMonitor(
                promise=self._promise, base=base, steps=len(steps), shadowed=self._shadowed, caution=caution
            )

    @property
    def caution(self) -> int:
        """Steps up the policies' paths that exit rules must stand at least."""
        monitor = self._monitor
        return 0 if monitor is None else monitor.caution

    @property
    def asks(self) -> int | None:
        """Cut of the deepest branch that is watched, or was last; None: none ever was."""
        return self._asked[-1] if self._asked else None

    def left(self) -> float:
        """A sample leaves at a branch: 0, or the whole network should answer it too, and it stands for so many."""
        with self._lock:
            return 0.0 if self._monitor is None else self._monitor.left()

    def label(self, cut: int, scores_NS: NDArray[np.float32], *, agrees: bool, shadowed: float) -> None:
        """The branch at this cut, with these scores, and the edge have both answered; `shadowed` is what `left` said of
        it, 0 when it was offloaded anyway.
        """
        with self._lock:
            if self._monitor is None or self._steps is None or cut not in self._asked:
                return
            event = self._monitor.note(self._steps.reached(scores_NS[0]), agrees, shadowed)
            if event is not None:
                self._news = str(event)
        if event is not None:
            self._alarmed(event)

    def report(self) -> DriftReport | None:
        """For telemetry; None while there are no labels. What was noticed is said once."""
        with self._lock:
            found = None if self._monitor is None else self._monitor.estimate()
            if found is None or self._monitor is None:
                return None
            news, self._news = self._news, ""
            return DriftReport(
                agreement=found.value,
                low=found.low,
                high=found.high,
                shadows=found.labels,
                caution=self._monitor.caution,
                event=news,
            )
