"""Which rules a certificate chooses from: a policy's path past some branches, over a rule that stays as it is.

difference+confidence:0.9
│          └ a rule, as in a plan: asked where the first lets nobody leave; its thresholds stay
└ the policy whose thresholds are moved, from strict to lenient
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from offramp.bundle.manifest import Manifest
from offramp.errors import PlanError
from offramp.exits.catalog import open_policy
from offramp.exits.certify import Path
from offramp.exits.paths import path
from offramp.plan import ExitRule
from offramp.planning.resolve import resolve

FINER = 4
"""Into so many steps each step of a path is divided: 49 rules of confidence. More of them cost no certainty."""


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
        over = resolve(f"split=end, exit={rest}", manifest).exit if rest else None
        return cls(policy=moved.strip(), cuts=_cuts(manifest, branches), over=over)

    @property
    def temporal(self) -> bool:
        """Whether samples are decided by what their stream said before."""
        return open_policy(self._rules[0]).temporal

    def path(self) -> Path:
        """All branches together, fixed beforehand."""
        over = f" over {self.over}" if self.over else ""
        where = ", ".join(map(str, self.cuts))
        return Path(rules=self._rules, description=f"{self.policy}, one threshold for branches {where}{over}")

    @property
    def _rules(self) -> tuple[ExitRule, ...]:
        return path(self.policy, self.cuts, over=self.over, finer=FINER)


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
