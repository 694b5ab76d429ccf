"""From evidence and a promise to a certificate: the most lenient rule of a path that keeps it.

    evidence ─┬─ half that was tuned on ──► a path (or none is tuned: the path is fixed beforehand)
              └─ half that is held out ──► losses ─► units ─► risk control ─► the last step that holds

# N samples, M units, T rules of a path
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.data.held_out import held_out
from offramp.errors import SettingsError
from offramp.exits.certificate import Certificate, ExitShare, Seen
from offramp.exits.charge import Charge
from offramp.exits.evidence import Evidence, Units
from offramp.exits.losses import Loss, Progress, exit_shares, losses_of, walks_of
from offramp.exits.risk import Controlled, Method, RiskLimit, by_unit, control, least_units
from offramp.plan import ExitRule

NOTHING = Seen(samples=0, units=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a user asks for."""

    loss: Loss
    epsilon: float
    delta: float = 0.05
    method: Method | None = None
    """None: the exact test where every unit loses all or nothing, bets elsewhere; see `of`."""

    def of(self, unit: str) -> RiskLimit:
        """What risk control is asked for units of this name.

        Raises:
            SettingsError: Nobody can promise this.
        """
        exact = self.loss is Loss.DISAGREEMENT and unit == "sample"
        method = self.method or (Method.LTT if exact else Method.WSR)
        return RiskLimit(epsilon=self.epsilon, delta=self.delta, method=method, low=self.loss.low, high=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Rules to choose from, strict to lenient, that do not depend on the samples that are certified on."""

    rules: tuple[ExitRule, ...]
    description: str
    """For people: `confidence, all branches together`."""
    tuned_on: Seen = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Halves:
    """One half to tune on, one to certify with; no unit lies in both."""

    tuning: Evidence
    certifying: Evidence
    certifying_units: Units
    tuning_units: Units


def halves_of(evidence: Evidence, units: Units) -> Halves:
    """As builds do, so that temperatures were not fitted on the half to certify with.

    Raises:
        SettingsError: A half is empty.
    """
    kept_N = held_out(units.number_N)
    if kept_N.all() or not kept_N.any():
        raise SettingsError(
            f"{units.many} cannot be dealt out into two halves, one to tune on and one to certify with; give more data"
        )
    return Halves(
        tuning=evidence.take(~kept_N),
        certifying=evidence.take(kept_N),
        tuning_units=Units(number_N=units.number_N[~kept_N], name=units.name),
        certifying_units=Units(number_N=units.number_N[kept_N], name=units.name),
    )


def certify(
    halves: Halves,
    path: Path,
    promise: Promise,
    manifest: Manifest,
    *,
    looked_at: str = "",
    progress: Progress = lambda _done, _total: None,
) -> Certificate:
    """The most lenient rule of the path that keeps the promise.

    Raises:
        SettingsError: Not even the strictest does, and the message says whether more data would help; or it cannot be
            told from these samples.
    """
    evidence, units = halves.certifying, halves.certifying_units
    limit = promise.of(units.name)
    walks = walks_of(evidence, path.rules, progress)
    losses_NT = losses_of(evidence, walks, promise.loss, _temperatures(manifest))
    losses_MT = in_units(losses_NT, units, seed=evidence.origin.seed)
    found = control(losses_MT, limit)
    if found.step is None:
        raise SettingsError(_why_nothing_holds(found, limit, units, path.rules[0]))
    walked, rule = walks[found.step], path.rules[found.step]
    known = bool((evidence.truth_N >= 0).all())
    return Certificate(
        model_digest=manifest.model_digest,
        rule=str(rule),
        split=manifest.split_from(rule.asked[-1]),
        loss=promise.loss,
        epsilon=promise.epsilon,
        delta=None if limit.method is Method.CRC else promise.delta,
        method=limit.method,
        bound=found.bound_T[found.step],
        mean=found.risk_T[found.step],
        unit=units.name,
        certified_on=Seen(samples=len(evidence), units=units.count),
        tuned_on=path.tuned_on,
        path=path.description,
        steps=len(path.rules),
        step=found.step,
        exits=tuple(ExitShare(cut=cut, share=share) for cut, share in exit_shares(walked, rule.asked)),
        operations=Charge.of(manifest).share(walked, rule.asked),
        accuracy=float(np.mean(walked.label_N == evidence.truth_N)) if known else None,
        full_accuracy=float(np.mean(evidence.final_label_N == evidence.truth_N)) if known else None,
        data=evidence.origin.data,
        data_digest=evidence.origin.digest,
        subset=evidence.origin.subset,
        seed=evidence.origin.seed,
        looked_at=looked_at,
    )


def in_units(losses_NT: NDArray[np.float64], units: Units, *, seed: int) -> NDArray[np.float64]:
    """[M, T] mean losses of the units, shuffled: bets depend on the order, and data sets are sorted by something."""
    losses_MT = by_unit(losses_NT, units.number_N)
    shuffled_MT: NDArray[np.float64] = losses_MT[np.random.default_rng(seed).permutation(len(losses_MT))]
    return shuffled_MT


def _temperatures(manifest: Manifest) -> dict[int, float]:
    return {branch.cut: branch.temperature for branch in manifest.branches} | {manifest.end: manifest.final_temperature}


def _why_nothing_holds(found: Controlled, limit: RiskLimit, units: Units, strictest: ExitRule) -> str:
    needed = least_units(limit)
    if found.units < needed:
        return (
            f"{units.many} are too few for this promise ({limit.promise}, by {limit.method}): it takes at least "
            f"{needed:,}, even if none of them loses anything; give more data, or promise less"
        )
    return (
        f"not even the strictest rule ({strictest}) keeps this promise "
        f"({limit.promise}): its mean loss over {units.many} is {found.risk_T[0]:.3g}; promise less, certify fewer or "
        f"deeper branches (--branches), or give more data"
    )
