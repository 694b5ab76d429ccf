"""SplitEE: learns where to split, from confidence and cost alone (Bajpai, Trivedi, Yadav and Hanawal, 2023,
arXiv 2309.09195; for images: I-SplitEE, 2024, arXiv 2401.10541).

    arm k: run to split k; at the deepest branch up to there,   confidence >= alpha: leave,  reward = C - cost
                                                                else: send,                  reward = C_edge - cost
    arm n: the whole network on the device, no branch asked                                  reward = C_n - cost

    cost = mu * (seconds on the device + encoding + seconds away) / (seconds of the whole network on this device)

The papers charge invented costs per layer; here they are measured on every sample, in units that make the whole
network cost 1 at mu = 1, as theirs do, nearly. Rewards are kept above -2, which is below what any arm costs there, so
that one lost link does not outweigh a thousand samples. In the papers every layer has a branch; here an arm is a split
with a branch at or before it, whose features are written by the smallest codec that holds the objective.

A choice holds for a period, and each sample of it counts as a play. The reward is confidence, not accuracy: branches
that are overconfident win, so that it takes calibrated ones, which bundles ship. Situation and objective are not looked
at, but for drift: caution raises alpha.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from offramp.errors import SettingsError
from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.planning.candidates import Candidate
from offramp.planning.resolve import resolve
from offramp.planning.rules import PATHS
from offramp.planning.situation import Situation
from offramp.planning.strategies.bandit import Bandit
from offramp.planning.strategies.chain import accurate, imagined
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.records import Answered, Result
from offramp.registry import unknown

POLICY = "confidence"
WORST = -2.0
"""The least reward: of a sample that was rejected, or cost more than this allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What may be written after the colon: `splitee:alpha=0.9, window=200`."""

    alpha: float = 0.85
    """How sure a sample has to be to leave; the papers take 0.5 to 0.85."""
    mu: float = 1.0
    """Confidence that the time of one whole network on this device is worth."""
    explore: float = 1.0
    """Weight of what is not known."""
    window: float = inf
    """Samples that are remembered, in about; all of them unless given."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise SettingsError(f"alpha={self.alpha:g} is no confidence; give one between 0 and 1")
        if not (self.mu >= 0 and isfinite(self.mu)):
            raise SettingsError(f"mu={self.mu:g} is no price; give 0 or more")


class SplitEE(Strategy):
    """Plays one arm per period."""

    name = "splitee"

    def __init__(self, grounds: Grounds, text: str = "") -> None:
        """
        Raises:
            SettingsError: The text is no tuning.
        """
        self._tuning = parse_tuning(text)
        self._model, self._deadline = grounds.model, grounds.objective.deadline
        self._cost = self._tuning.mu / max(grounds.device.segment(0, grounds.manifest.end).expected, 1e-9)
        self._end = grounds.manifest.end
        self._arms = self._all_arms(grounds)
        self._bandit = Bandit(len(self._arms), explore=self._tuning.explore, window=self._tuning.window)
        self._played: int | None = None

    @property
    def earned(self) -> dict[int, float]:
        """Reward per sample so far, by the split of the arm; 0 where nothing is known."""
        return {item.split: float(mean) for item, mean in zip(self._arms, self._bandit.means, strict=True)}

    def choose(self, situation: Situation) -> Choice:
        self._played = arm = self._bandit.pick()
        item = self._arms[arm]
        plan = Plan(split=item.split, exit=careful(item.exit, situation.caution), codec=item.codec)
        known = self._bandit.plays[arm]
        reward = (
            f"its reward was {self._bandit.means[arm]:.2f} over {known:.0f} samples" if known else "nothing is known"
        )
        why = f"{self.name}: of {len(self._arms)} arms, the one at split {plan.split} may be the best: {reward}"
        return Choice(plan=plan, forecast=self._model.forecast_plan(plan, situation, self._deadline), why=why)

    def learn(self, results: Sequence[Result]) -> None:
        if self._played is None:
            return  # these followed somebody else's plan
        for result in results:
            self._bandit.note(self._rewards(self._played, result))

    def _all_arms(self, grounds: Grounds) -> list[Candidate]:
        """Every split with a branch at or before it, and the whole network, as one sample that stays sees them."""
        branches = sorted(branch.cut for branch in grounds.manifest.branches)
        found = []
        first = min(branches, default=self._end)
        for split in [split for split in grounds.manifest.splits if split >= first]:
            codec, payload = ("none", 0.0) if split == self._end else _smallest(grounds, split)
            asked = self._asked([cut for cut in branches if cut <= split], split)
            thresholds = tuple((cut, self._tuning.alpha) for cut in asked)
            rule = ExitRule(policy=POLICY, thresholds=thresholds) if asked else NO_EXIT
            found.append(imagined(grounds, split, codec, payload, rule=rule))
        return found

    def _asked(self, branches: Sequence[int], split: int) -> Sequence[int]:
        """Which of the branches up to a split have a say there."""
        return [] if split == self._end else branches[-1:]

    def _rewards(self, played: int, result: Result) -> dict[int, float]:
        """By arm; only the one that was played."""
        return {played: self._reward(result.confidence, cost_of(result)) if answered(result) else WORST}

    def _reward(self, confidence: float, seconds: float) -> float:
        return max(WORST, confidence - self._cost * seconds)


def careful(rule: ExitRule, caution: int) -> ExitRule:
    """The rule, at least as strict as that step of its policy's path; above the last step, nobody leaves."""
    path = PATHS[POLICY]
    least = 0.0 if not caution else path[caution] if caution < len(path) else 1.0
    return ExitRule(policy=rule.policy, thresholds=tuple((cut, max(sure, least)) for cut, sure in rule.thresholds))


def answered(result: Result) -> bool:
    """Whether it says something about what an arm is worth."""
    return result.answered is not Answered.REJECTED and isfinite(result.confidence)


def cost_of(result: Result) -> float:
    """Seconds that the sample took, without waiting for the device behind others."""
    timings = result.timings
    return timings.head + timings.encode + timings.away + timings.fallback


def parse_tuning(text: str) -> Tuning:
    """Read `alpha=0.9, window=200`; what is not named keeps its default.

    Raises:
        SettingsError: A name is unknown or repeated, or a value is no number in its range.
    """
    values: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in Tuning.__slots__:
            raise SettingsError(unknown("tuning of splitee", name, list(Tuning.__slots__)))
        if name in values:
            raise SettingsError(f"splitee is given {name} twice; keep one")
        try:
            values[name] = float(value)
        except ValueError:
            raise SettingsError(f"{part!r} gives no number; write {name}=NUMBER") from None
    return Tuning(**values)


def _smallest(grounds: Grounds, split: int) -> tuple[str, float]:
    """The codec there, and its bytes; of a split that was never recorded, the codec that plans take by themselves."""
    there = [item for item in grounds.candidates.candidates if item.split == split]
    if not there:
        codec = resolve(f"split={split}", grounds.manifest).codec
        return codec, float(grounds.manifest.cuts[split].nbytes)
    best = min(accurate(there, grounds.objective), key=lambda item: item.payload_mean)
    return best.codec, best.payload_mean
