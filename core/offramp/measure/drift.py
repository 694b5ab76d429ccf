"""Whether branches still deserve the trust that calibration gave them; and if not, how strict to be.

    leaves ──► left(): this one too? ── 1 in 20, 1 in 2 under suspicion ──► to the edge as well ─┐
    is offloaded anyway: a label for nothing ────────────────────────────────────────────────────┤
                                                                                                 ▼
         caution up: thresholds rise ◄── alarm ◄── evidence of a drop ◄── note(step, agrees, shadowed)
         caution down, step by step  ◄── lower bound holds the promise ◄──┘

Caution is a step of the policies' paths (`offramp.exits.steps`): a sample leaves only if it reaches it. Past the end of
the path nobody leaves; then every sample is offloaded and labelled, which is the way back.

The branch agrees with the whole network on all but a share d of the samples that leave. Where they agree, leaving costs
nothing; where not, one right answer at most. So the accuracy, with a share s leaving, is at least that of the whole
network on the same samples minus s * d. What distortion does to the whole network itself cannot be seen without truth.
"""

from collections import deque
from dataclasses import dataclass
from math import log

from offramp.measure.agreement import SCENE, Estimate, Label, agreement

SHADOWED = 0.05
"""Share of the samples leaving on the device that are sent to the edge as well."""
SHADOWED_UNDER_SUSPICION = 0.5
DROPPED = 0.70
"""The agreement that is to be noticed fast; a loss of half as much is noticed too, later."""
DROP = 0.8
"""The same as a share of the promise, where this one is low."""
HIGHEST_PROMISE = 0.97
"""No more than this is held against a branch: calibration has seen some hundred scenes, and a promise of 0.995 that is
0.98 in the field is no drift."""
ALARM = 4.0
"""Evidence of a drop, beside that of one disagreement, that is an alarm: the logarithm of how much more likely the
labels are after a drop than before. Simulated, docs/measuring.md."""
SUSPICION = 0.15
"""The same as a share of an alarm, from which on more samples are shadowed."""
SLACK = 0.05
"""What the lower bound of the agreement may lack of the promise where caution is relaxed: without it, only a branch
that is better than promised would ever be trusted again."""
WINDOW = 2_400
"""Samples that count as recent: four minutes at ten a second."""
RECONSIDER = 100
"""Labels between two looks at whether caution may be relaxed, by one step."""
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftEvent:
    """Caution has changed."""

    before: int
    after: int
    agreement: Estimate
    """Of the samples that left (caution rises), or of those at the step that is aimed at (it is relaxed)."""
    promise: float
    samples: int
    """Answered on the device since the drop began, as far as the labels tell; 0 where caution is relaxed."""

    def __str__(self) -> str:
        if self.after > self.before:
            return (
                f"branches agree with the whole network on {self.agreement}, promised were {self.promise:.1%}: "
                f"caution rises from {self.before} to {self.after}"
            )
        return f"branches agree on {self.agreement} again: caution is relaxed from {self.before} to {self.after}"


class DriftMonitor:
    """Of one device and one exit rule. Counts samples, knows no time; not safe from several threads.

    Args:
        promise: Agreement among the samples that leave, on the calibration split.
        base: Step of the rule itself.
        steps: Length of the policy's path; as caution: nobody leaves.
        shadowed: Share of leaving samples that are sent to the edge as well.
        caution: To start with, such as a monitor before this one has reached.
    """

    def __init__(self, *, promise: float, base: int, steps: int, shadowed: float = SHADOWED, caution: int = 0) -> None:
        if not (0.0 < promise <= 1.0 and 0.0 < shadowed <= 1.0):
            raise ValueError(f"promise {promise} and shadowed {shadowed} are shares; give numbers above 0, up to 1")
        self.promise = promise
        self._base, self._steps, self._shadowed = base, steps, shadowed
        self._step = max(base, min(caution, steps))
        self._evidence = _Evidence(promise)
        self._labels: deque[Label] = deque()
        self._position = self._left = self._noted = 0

    @property
    def caution(self) -> int:
        """The step that exit rules must stand at least; 0 when the rule's own is enough; `steps`: nobody leaves."""
        return self._step if self._step > self._base else 0

    @property
    def rate(self) -> float:
        """Share of the samples leaving on the device that are shadowed now."""
        return max(self._shadowed, SHADOWED_UNDER_SUSPICION) if self._evidence.suspicious else self._shadowed

    def left(self) -> float:
        """A sample leaves on the device: 0, or it is to be sent to the edge as well, and stands for so many.

        Spaced evenly but without a period, which might be that of the stream.
        """
        self._position += 1
        self._left += 1
        rate = self.rate
        return 1.0 / rate if (self._left * GOLDEN) % 1.0 < rate else 0.0

    def note(self, step: int, agrees: bool, shadowed: float) -> DriftEvent | None:
        """Both the branch and the whole network have answered a sample.

        Args:
            step: How far up the path it would still have left, -1: not at all.
            agrees: Both said the same.
            shadowed: What `left` said of it; 0 when it was offloaded anyway.

        Returns:
            What changes because of it, as a rule nothing.
        """
        if not shadowed:
            self._position += 1
        if step < 0:
            return None
        self._noted += 1
        self._labels.append(Label(self._position, self._left, step, agrees, shadowed or 1.0))
        while self._labels[0].position < self._position - WINDOW:
            self._labels.popleft()
        if shadowed and step >= self._step and self._evidence.weigh(agrees, self._left):
            return self._alarm()
        return self._relax() if self._step > self._base and self._noted % RECONSIDER == 0 else None

    def estimate(self) -> Estimate | None:
        """Agreement of what leaves now; when nobody does, of what the rule itself would let leave. None: no labels."""
        return self._agreement(self._base if self._step >= self._steps else self._step)

    def live_accuracy(self, full: float) -> Estimate | None:
        """What the accuracy is at least while that of the whole network is `full`; None without labels."""
        found = self.estimate()
        if found is None:
            return None
        first = self._labels[0]
        share = (self._left - first.left) / max(1, self._position - first.position)
        value, low, high = (full - share * (1.0 - agreeing) for agreeing in (found.value, found.low, found.high))
        return Estimate(value=value, low=low, high=high, labels=found.labels)

    def _agreement(self, step: int) -> Estimate | None:
        return agreement(self._labels, [step])[0]

    def _holding(self, steps: range) -> int | None:
        """The smallest of the steps at which what was labelled lately holds the promise."""
        enough = min(self.promise, HIGHEST_PROMISE) - SLACK
        found = zip(steps, agreement(self._labels, steps), strict=True)
        return next((step for step, one in found if one is not None and one.low >= enough), None)

    def _alarm(self) -> DriftEvent:
        """What was labelled before the drop says nothing any more; the rest decides how strict to be."""
        since, before = self._evidence.since, self._step
        while self._labels[0].left <= since:
            self._labels.popleft()
        found = self._agreement(before)
        assert found is not None  # the label that raised the alarm is among them
        holding = self._holding(range(before + 1, self._steps))
        self._step = self._steps if holding is None else holding
        self._evidence = _Evidence(self.promise, self._left)
        return self._event(before, found, self._left - since)

    def _relax(self) -> DriftEvent | None:
        holding = self._holding(range(self._base, self._step))
        if holding is None:
            return None
        found, before = self._agreement(holding), self._step
        assert found is not None  # it holds
        self._step -= 1
        return self._event(before, found, 0)

    def _event(self, before: int, found: Estimate, samples: int) -> DriftEvent:
        return DriftEvent(before=before, after=self._step, agreement=found, promise=self.promise, samples=samples)


class _Evidence:
    """CUSUM (Page, Biometrika 1954) of the likelihood that the agreement has dropped over that it holds.

    A label counts by the new ground it covers, since frames of one scene err together: in full when the one before it
    was a scene ago. Under suspicion there are eight to a scene, which tell what the scene is like, and count as one.
    """

    def __init__(self, promise: float, left: int = 0) -> None:
        promise = min(promise, HIGHEST_PROMISE)
        dropped = min(DROPPED, promise * DROP)
        self._disagrees, self._agrees = log((1.0 - dropped) / (1.0 - promise)), log(dropped / promise)
        self._alarm = ALARM + self._disagrees
        self._sum, self._at = 0.0, left - SCENE
        self.since = left
        """Samples that had left when the suspicion began."""

    @property
    def suspicious(self) -> bool:
        return self._sum > SUSPICION * self._alarm

    def weigh(self, agrees: bool, left: int) -> bool:
        """Whether it is an alarm; `left` samples have left up to now."""
        counts = min(1.0, (left - self._at) / SCENE)
        if self._sum == 0.0:
            self.since = self._at
        self._at = left
        self._sum = max(0.0, self._sum + counts * (self._agrees if agrees else self._disagrees))
        return self._sum >= self._alarm
