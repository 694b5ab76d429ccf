"""What the bitmap of excluded classes (`mask=on`) does to the samples that are sent: the edge answers among the alive.

    branches ─► alive classes ─► sent with the feature ─► the end's logits, the others struck out ─► right?

# N samples, K classes
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.exits.contest import Subject, bench_of
from benchmarks.exits.tasks import Task
from offramp.exits.catalog import open_policy
from offramp.exits.evidence import Evidence
from offramp.exits.exclusion import alive_of
from offramp.exits.paths import path
from offramp.exits.policy import NO_STATE
from offramp.exits.walk import STAYED, walk
from offramp.plan import ExitRule
from offramp.planning.resolve import EXCLUDING
from offramp.tail import OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """One rule on test samples; shares are of the samples that it sends."""

    policy: str
    rule: str
    sent: float
    """Share of all samples."""
    right: float
    """Without the bitmap."""
    masked: float
    """With it."""

    @property
    def gained(self) -> float:
        """Right with it and not without, less the other way round."""
        return self.masked - self.right


def masked(said: Evidence, rule: ExitRule) -> Masked:
    """
    Raises:
        PlanError: The rule excludes nothing.
    """
    policy, state, everybody = open_policy(rule), NO_STATE, np.arange(len(said))
    for cut in rule.asked:
        _, state = policy.decide(said.hear(cut, everybody), state)
    alive_NK = alive_of(state)
    assert alive_NK is not None, f"{rule} excludes nothing"
    sent_N = walk(policy, rule.asked, said.hear, said.final_label_N, said.stream_N).left_at_N == STAYED
    answer_N = np.where(alive_NK, said.final_NK, OUT).argmax(axis=1)
    return Masked(
        policy=rule.policy,
        rule=str(rule),
        sent=float(np.mean(sent_N)),
        right=float(np.mean(said.final_label_N[sent_N] == said.truth_N[sent_N])),
        masked=float(np.mean(answer_N[sent_N] == said.truth_N[sent_N])),
    )


def masked_along_paths(subject: Subject, task: Task) -> list[Masked]:
    """Every rule of both policies' paths that keeps the promise on calibration samples and sends anybody at all."""
    bench = bench_of(subject, task)
    found = []
    for name in EXCLUDING:
        for rule in path(name, subject.cuts):
            if bench.judge(rule).quality < -task.drop:
                break
            found.append(masked(subject.test, rule))
    return [one for one in found if one.sent > 0]
