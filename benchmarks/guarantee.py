"""What promises about exits are worth: 200 random calibration and test splits of what a tape recorded.

    tape ─► losses of every rule of a path [N, T], once ─► split ─► the rule that a method takes ─► its loss on the rest

The tape is the population, a split a random part of it, so samples are exchangeable here whatever they are elsewhere.
Most of a tape is left to test on: the loss that is seen there is then nearly the true one. Splits are computed side by
side; some of them are given to the deployed `control` too, which has to take the same rules.

# N samples, M of them to calibrate with, T rules from strict to lenient, R splits
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Claim, a_parser, report
from offramp.bundle.store import open_bundle
from offramp.errors import InputError
from offramp.exits.bounds import Floats, betting_p, binomial_tail
from offramp.exits.charge import Charge
from offramp.exits.evidence import Evidence, evidence_of
from offramp.exits.losses import Loss, losses_of, walks_of
from offramp.exits.paths import path
from offramp.exits.risk import Method, RiskLimit, control
from offramp.exits.walk import STAYED, Walked
from offramp.plan import ExitRule
from offramp.tape.reader import open_tape
from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_TAPE

SPLITS = 200
SHARE = 0.2
"""Of the tape, to calibrate with."""
FINER = 4
"""Into so many steps the path of the policy is divided."""
EPSILONS = (0.01, 0.02, 0.05, 0.1)
GAINED_AT, LEAST_GAINED = 0.01, 0.01
"""A limit, and the share of samples that have to leave early within it."""
DEPLOYED = 3
"""Splits of which the deployed code is asked too."""
NAIVE = "naive"
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """A tape, walked under every rule."""

    rules: tuple[ExitRule, ...]
    losses: Mapping[Loss, Floats]
    """[N, T]"""
    leave_T: Floats
    operations_T: Floats

    @property
    def count(self) -> int:
        return len(self.losses[Loss.DISAGREEMENT])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method at one limit, over all splits."""

    loss: Loss
    method: str
    epsilon: float
    above: float
    """Share of the splits in which the loss on the rest is above the limit."""
    mean: float
    """Loss on the rest, on average over splits."""
    leave: float
    operations: float
    """Of the rules that were taken, on average over splits; nobody leaves where none holds."""


def main() -> int:
    arguments = _parse()
    population = walk_tape(arguments.bundle, arguments.tape, arguments.subset, arguments.policy)
    size = arguments.calibration or int(SHARE * population.count)
    if not 0 < size < population.count:
        raise InputError(f"--calibration {size} of {population.count:,} samples leaves nothing to test on")
    splits = 50 if arguments.quick else SPLITS
    chosen_RM = drawn(population.count, size, splits, seed=arguments.seed)
    rows = [
        row
        for loss in Loss
        for epsilon in EPSILONS
        for row in study(population, loss, chosen_RM, epsilon, arguments.delta)
    ]
    claims = [*_claims(rows, arguments.delta, splits), _same_as_deployed(population, chosen_RM, arguments.delta)]
    details = {
        "tape": open_tape(arguments.tape).digest(),
        "policy": arguments.policy,
        "samples": population.count,
        "calibration": size,
        "splits": splits,
        "delta": arguments.delta,
        "seed": arguments.seed,
        "rows": [_record(row) for row in rows],
    }
    if not arguments.json:
        print(
            f"{splits} splits of {population.count:,} samples: {size:,} to calibrate with, the rest to test on; "
            f"{len(population.rules)} rules of {arguments.policy}; delta {arguments.delta:g}\n\n{_table(rows)}\n"
        )
    return report("guarantee", claims, details, arguments)


def _parse() -> argparse.Namespace:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=DEMO_BUNDLE, metavar="DIR", help="(default: the demo's)")
    parser.add_argument("--tape", type=Path, default=DEMO_TAPE, metavar="FILE", help="of the bundle")
    parser.add_argument("--subset", default="test", help="of the tape: nothing was fitted to it (default: test)")
    parser.add_argument("--policy", default="confidence", help="whose path is tried (default: confidence)")
    parser.add_argument("--delta", type=float, default=0.05, help="chance of a broken promise (default: 0.05)")
    parser.add_argument("--calibration", type=int, metavar="M", help=f"samples (default: {SHARE:.0%}% of the tape)")
    parser.add_argument("--seed", type=int, default=0, help="of the splits (default: 0)")
    return parser.parse_args()


def walk_tape(bundle: Path, tape: Path, subset: str, policy: str) -> Population:
    """Everything that splits are made of; the network is not run."""
    manifest = open_bundle(bundle).manifest
    evidence: Evidence = evidence_of(open_tape(tape), subset)
    rules = path(policy, sorted(branch.cut for branch in manifest.branches), finer=FINER)
    walks: list[Walked] = walks_of(evidence, rules)
    charge = Charge.of(manifest)
    temperatures = {branch.cut: branch.temperature for branch in manifest.branches}
    temperatures[manifest.end] = manifest.final_temperature
    return Population(
        rules=rules,
        losses={loss: losses_of(evidence, walks, loss, temperatures) for loss in Loss},
        leave_T=np.array([np.mean(walked.left_at_N != STAYED) for walked in walks]),
        operations_T=np.array([charge.share(one, rule.asked) for one, rule in zip(walks, rules, strict=True)]),
    )


def drawn(count: int, size: int, splits: int, *, seed: int) -> Ints:
    """[R, M] the samples of each split's calibration part, in random order."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(count)[:size] for _ in range(splits)])


# Every method, over all splits at once: the last step that holds, -1 where not even the strictest does.


def study(population: Population, loss: Loss, chosen_RM: Ints, epsilon: float, delta: float) -> list[Row]:
    losses_NT = population.losses[loss]
    splits, size = chosen_RM.shape
    seen_RT = np.stack([losses_NT[chosen_M].sum(axis=0) for chosen_M in chosen_RM])
    rest_RT = (losses_NT.sum(axis=0) - seen_RT) / (len(losses_NT) - size)
    limit = RiskLimit(epsilon=epsilon, delta=delta, low=loss.low)
    taken: dict[str, Ints] = {
        Method.WSR: taken_by_betting(losses_NT, chosen_RM, limit),
        Method.CRC: taken_by_crc(seen_RT / size, size, limit),
        NAIVE: taken_naively(seen_RT / size, limit),
    }
    if loss is Loss.DISAGREEMENT:  # exact where losses are 0 or 1; elsewhere it is too weak to be of use
        taken = {Method.LTT: taken_by_test(seen_RT, size, limit), **taken}
    none_R = np.zeros((splits, 1))
    rows = []
    for method, step_R in taken.items():
        risk_R = np.take_along_axis(np.hstack([none_R, rest_RT]), step_R[:, None] + 1, axis=1)[:, 0]
        rows.append(
            Row(
                loss=loss,
                method=str(method),
                epsilon=epsilon,
                above=float(np.mean(risk_R > epsilon)),
                mean=float(risk_R.mean()),
                leave=float(np.append(population.leave_T, 0.0)[step_R].mean()),
                operations=float(np.append(population.operations_T, 1.0)[step_R].mean()),
            )
        )
    return rows


def taken_by_test(wrong_RT: Floats, size: int, limit: RiskLimit) -> Ints:
    """Learn then test, for losses of 0 and 1: at most so many errors are seldom enough."""
    most = -1
    while binomial_tail(most + 1, size, limit.epsilon) <= limit.delta:
        most += 1
    return _before_first_failure(wrong_RT <= most + 0.5)


def taken_by_betting(losses_NT: Floats, chosen_RM: Ints, limit: RiskLimit) -> Ints:
    width = limit.high - limit.low
    epsilon = (limit.epsilon - limit.low) / width
    holds = [betting_p((losses_NT[chosen_M] - limit.low) / width, epsilon, limit.delta) for chosen_M in chosen_RM]
    return _before_first_failure(np.stack(holds) <= limit.delta)


def taken_by_crc(mean_RT: Floats, size: int, limit: RiskLimit) -> Ints:
    """One unit more, at its worst, and never less as exits become more lenient."""
    return _before_first_failure(
        (size * np.maximum.accumulate(mean_RT, axis=1) + limit.high) / (size + 1) <= limit.epsilon
    )


def taken_naively(mean_RT: Floats, limit: RiskLimit) -> Ints:
    """What is usually done: the most lenient step of which the calibration part says that it is good enough."""
    fine_RT = mean_RT <= limit.epsilon
    last_R = mean_RT.shape[1] - 1 - np.argmax(fine_RT[:, ::-1], axis=1)
    return np.where(fine_RT.any(axis=1), last_R, -1)


def _before_first_failure(holds_RT: NDArray[np.bool_]) -> Ints:
    return np.where(holds_RT.all(axis=1), holds_RT.shape[1], np.argmin(holds_RT, axis=1)) - 1


# What is claimed.


def _claims(rows: list[Row], delta: float, splits: int) -> list[Claim]:
    slack = 2 * float(np.sqrt(delta * (1 - delta) / splits))
    claims = []
    for method in (Method.LTT, Method.WSR):
        worst = max((row for row in rows if row.method == method), key=lambda row: row.above)
        claims.append(
            Claim(
                name=f"{method}: splits whose loss is above the limit",
                found=worst.above,
                limit=round(delta + slack, 3),
                unit="",
                detail=f"worst: {_named(worst)}; delta {delta:g} and binomial slack",
            )
        )
    worst = max((row for row in rows if row.method == Method.CRC), key=lambda row: row.mean / row.epsilon)
    claims.append(
        Claim(
            name="crc: mean loss over its limit, no confidence given",
            found=worst.mean / worst.epsilon,
            limit=1.0,
            detail=f"worst: {_named(worst)}",
        )
    )
    worst = max((row for row in rows if row.method == NAIVE), key=lambda row: row.above)
    claims.append(
        Claim(
            name="naive tuning: splits whose loss is above the limit",
            found=worst.above,
            limit=round(delta + slack, 3),
            at_most=False,
            unit="",
            detail=f"worst: {_named(worst)}; a promise would be broken",
        )
    )
    gained = [row for row in rows if row.epsilon == GAINED_AT and row.method in (Method.LTT, Method.WSR)]
    best = max(gained, key=lambda row: row.leave)
    claims.append(
        Claim(
            name=f"leave early at a limit of {GAINED_AT:.0%}, with confidence",
            found=best.leave,
            limit=LEAST_GAINED,
            at_most=False,
            unit="",
            detail=f"{best.loss} by {best.method}: {best.operations:.0%} of the operations",
        )
    )
    return claims


def _same_as_deployed(population: Population, chosen_RM: Ints, delta: float) -> Claim:
    """Of some splits, how many rules the deployed code would not take."""
    differing = asked = 0
    losses_NT = population.losses[Loss.DISAGREEMENT]
    some_RM = chosen_RM[:DEPLOYED]
    seen_RT = np.stack([losses_NT[chosen_M].sum(axis=0) for chosen_M in some_RM])
    size = some_RM.shape[1]
    for epsilon in EPSILONS:
        limit = RiskLimit(epsilon=epsilon, delta=delta)
        taken: dict[Method, Ints] = {
            Method.LTT: taken_by_test(seen_RT, size, limit),
            Method.WSR: taken_by_betting(losses_NT, some_RM, limit),
            Method.CRC: taken_by_crc(seen_RT / size, size, limit),
        }
        for method, step_R in taken.items():
            for chosen_M, step in zip(some_RM, step_R.tolist(), strict=True):
                found = control(losses_NT[chosen_M], RiskLimit(epsilon=epsilon, delta=delta, method=method)).step
                differing += (-1 if found is None else found) != step
                asked += 1
    return Claim(
        name="rules that the deployed code would not take", found=differing, limit=0, unit="", detail=f"of {asked}"
    )


def _named(row: Row) -> str:
    return f"{row.loss} at {row.epsilon:.0%}"


def _record(row: Row) -> dict[str, Any]:
    return {
        "loss": str(row.loss),
        "method": row.method,
        "epsilon": row.epsilon,
        "above": row.above,
        "mean": row.mean,
        "leave": row.leave,
        "operations": row.operations,
    }


def _table(rows: list[Row]) -> str:
    lines = [f"  {'loss':14}{'method':8}{'limit':>7}{'above it':>10}{'mean loss':>11}{'leave':>9}{'operations':>12}"]
    lines += [
        f"  {row.loss:14}{row.method:8}{row.epsilon:7.0%}{row.above:10.1%}{row.mean:11.2%}{row.leave:9.1%}"
        f"{row.operations:12.1%}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
