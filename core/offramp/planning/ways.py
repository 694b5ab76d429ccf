"""Which rules a certificate chooses from: a policy's past some branches, over a rule that stays as it is.

difference+confidence:0.9
│          └ a rule, as in a plan: asked where the first lets nobody leave; its thresholds stay
└ the policy whose thresholds are moved, from strict to lenient
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from offramp.bundle.manifest import Manifest
from offramp.errors import PlanError, SettingsError
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.certificate import Seen
from offramp.exits.certify import Halves, Path, Promise
from offramp.exits.charge import Charge
from offramp.exits.losses import Loss
from offramp.exits.paths import path
from offramp.exits.tuning import Bench, tune
from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.resolve import resolve

RUNGS = tuple(step / 10 for step in range(11))
"""Of the loss that is promised: how much of it each rule of a tuned path may take on the half that it is tuned on."""
FINER = 4
"""Into so many steps each step of a path is divided: 49 rules of confidence. More of them cost no certainty."""
DIGITS = 4
"""Of thresholds between two others: nobody reads more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A policy past some branches."""

    policy: str
    cuts: tuple[int, ...]
    over: ExitRule | None = None

    @classmethod
    def of(cls, manifest: Manifest, policy: str, branches: str | None = None) -> Self:
        """From what a person wrote; `branches` by index or name, None for all.

        Raises:
            PlanError: No such branch, or none at all, or the rule cannot be followed.
            UnknownNameError: No such policy.
        """
        moved, _, rest = policy.partition("+")
        POLICIES[moved.strip()]  # whoever asks for one that cannot be hears its name
        over = resolve(f"split=end, exit={rest}", manifest).exit if rest else None
        return cls(policy=moved.strip(), cuts=_cuts(manifest, branches), over=over)

    @property
    def temporal(self) -> bool:
        """Whether samples are decided by what their stream said before."""
        return open_policy(self._rules[0]).temporal

    def path(self, halves: Halves, promise: Promise, manifest: Manifest, *, together: bool = False) -> Path:
        """Branch by branch, tuned on the half that does not decide; or `together`, fixed beforehand.

        Temporal policies take the second way: walking streams a thousand times takes too long. So do Brier scores,
        which are no matter of labels.
        """
        if together or self.temporal or promise.loss is Loss.BRIER:
            return Path(rules=self._rules, description=f"{self._words}, one threshold for all branches")
        return self._tuned(halves, promise, manifest)

    def _tuned(self, halves: Halves, promise: Promise, manifest: Manifest) -> Path:
        """The cheapest rules for ever larger losses on the tuning half; doubles are left out."""
        there = halves.tuning
        if promise.loss is Loss.DISAGREEMENT:  # right is then who answers as the whole network does
            there = replace(there, truth_N=there.final_label_N)
        bench = Bench(recorded=there, charge=Charge.of(manifest))
        found = {
            tune(self.policy, self.cuts, bench, drop=share * promise.epsilon, over=self.over).rule: None
            for share in RUNGS
        }
        rules = tuple(rule for rule in found if rule != NO_EXIT)
        if not rules:
            raise SettingsError(
                f"on the {halves.tuning_units.many} to tune on, no rule of {self._words} loses at most "
                f"{promise.epsilon:g}; promise less, or ask deeper branches"
            )
        return Path(
            rules=rules if POLICIES[self.policy].counts else tuple(_filled(rules)),
            description=f"{self._words}, tuned branch by branch for losses up to {100 * promise.epsilon:g} %",
            tuned_on=Seen(samples=len(there), units=halves.tuning_units.count),
        )

    @property
    def _words(self) -> str:
        over = f" over {self.over}" if self.over else ""
        return f"{self.policy}{over} at {', '.join(map(str, self.cuts))}"

    @property
    def _rules(self) -> tuple[ExitRule, ...]:
        rules = path(self.policy, self.cuts, over=self.over, finer=FINER)
        return tuple(
            replace(rule, thresholds=tuple((cut, round(threshold, DIGITS)) for cut, threshold in rule.thresholds))
            for rule in rules
        )


def _filled(rules: Sequence[ExitRule]) -> Iterator[ExitRule]:
    """Neighbours that ask the same branches, with steps between their thresholds."""
    for before, after in pairwise(rules):
        yield before
        if [cut for cut, _ in before.thresholds] != [cut for cut, _ in after.thresholds]:
            continue
        for part in range(1, FINER):
            steps = zip(before.thresholds, after.thresholds, strict=True)
            between = ((cut, round(one + (other - one) * part / FINER, DIGITS)) for (cut, one), (_, other) in steps)
            yield replace(before, thresholds=tuple(between))
    yield rules[-1]


def _cuts(manifest: Manifest, branches: str | None) -> tuple[int, ...]:
    there = [branch.cut for branch in manifest.branches]
    if not there:
        raise PlanError(f"{manifest.name!r} has no branches, so nobody can leave; build it with some (--branches)")
    if branches is None:
        return tuple(sorted(there))
    asked = sorted({manifest.find_cut(name.strip()) for name in branches.split(",")})
    for cut in asked:
        if cut not in there:
            raise PlanError(f"there is no branch at cut {cut}; {manifest.name!r} has branches at {_listed(there)}")
    return tuple(asked)


def _listed(cuts: Sequence[int]) -> str:
    return ", ".join(map(str, cuts))
