"""How far one run has come: what the screen shows while it lasts, and the report when it is over."""

from collections import deque
from dataclasses import dataclass, field

from offramp.units import Seconds
from offramp_evaluation.demo.contenders import Contender
from offramp_evaluation.demo.script import Script
from offramp_evaluation.demo.tally import Outcome
from offramp_evaluation.road.news import Believed, NewPlan

LAST = 6
"""Answers that are shown one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A plan came into force."""

    at: Seconds
    """Since the first frame was due; 0 for what was in force by then."""
    plan: str
    predicted: Seconds | None


@dataclass(slots=True, kw_only=True)
class Run:
    contender: Contender
    script: Script
    phase: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    by_phase: dict[int, list[Outcome]] = field(default_factory=dict)
    last: deque[Outcome] = field(default_factory=lambda: deque(maxlen=LAST))
    changes: list[Change] = field(default_factory=list)
    """Of a run that the orchestrator plans."""
    believed: Believed | None = None

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.by_phase.setdefault(self.script.phase_of(outcome.index), []).append(outcome)
        self.last.append(outcome)

    def planned(self, news: NewPlan, elapsed: Seconds) -> None:
        self.changes.append(Change(at=Seconds(max(elapsed, 0.0)), plan=news.plan, predicted=news.predicted))

    @property
    def plan(self) -> str:
        """In force now."""
        if self.contender.plan is not None:
            return str(self.contender.plan)
        return self.changes[-1].plan if self.changes else "waiting for the first plan"

    @property
    def predicted(self) -> Seconds | None:
        return self.changes[-1].predicted if self.changes else None

    def changes_in(self, phase: int) -> list[Change]:
        """Those that came into force while the link of a phase was in force."""
        return [one for one in self.changes if self.script.phase_at(one.at) == phase]
