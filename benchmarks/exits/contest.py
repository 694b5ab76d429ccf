"""Every policy of the catalogue on one bundle: tuned on its calibration samples, judged on its test samples.

    instance policies    each by `tune`: all branches together, branch by branch, then single moves
    temporal policies    every path over one branch, or over all
    temporal over …      the same over the best instance policy that is tuned to a part of what may be lost, or to all

# N samples, S fused scores
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.exits.tasks import Task
from offramp.bundle.manifest import SCORES
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.charge import Charge
from offramp.exits.evidence import Evidence
from offramp.exits.paths import path
from offramp.exits.reliability import reliability
from offramp.exits.tuning import Bench, Tuned, along_path, tune
from offramp.exits.walk import Walked
from offramp.plan import NO_EXIT, ExitRule

AROUND = (0.6, 1.5)
"""Parts of the acceptable drop that policies are tuned to as well, so that all can be compared at equal losses."""
OVER_AT = (0.25, 0.6, 1.0)
"""Parts of the acceptable drop that an instance policy below a temporal one is tuned to; by the last, a temporal policy
that helps nobody equals the best instance policy on calibration samples."""
_CONFIDENCE, _OWN = SCORES.index("confidence"), SCORES.index("own")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One bundle, and what it said."""

    name: str
    seed: int
    """Of its branches."""
    place: str = ""
    """Where the bundle lies."""
    kind: str = ""
    """Of its branches."""
    trained: str = ""
    """For how long network and branches learned together; empty where the network stood still."""
    charge: Charge
    final_temperature: float
    calibration: Evidence
    test: Evidence

    @property
    def cuts(self) -> tuple[int, ...]:
        return tuple(sorted(self.charge.branch))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a rule does on test samples."""

    policy: str
    """`difference+confidence`: the first over the second."""
    rule: str
    operations: float
    """Mean, as a share of the network without exits; every branch that ran is charged."""
    measures: Mapping[str, float]
    lost: float
    """Against the whole network, in the measure that lost most; below 0 where every one gained."""
    leave: Mapping[int, float]
    """Share of the samples that leave at each asked branch; the rest is what would be sent to an edge."""
    error: float
    """Expected calibration error of the answers."""
    tuned_operations: float
    """On the calibration samples."""
    matched: float | None = None
    """Operations at which exactly what is accepted is lost on test samples, between rules that were tuned to lose less
    and more; None where that was not asked."""

    @property
    def offloaded(self) -> float:
        return 1.0 - sum(self.leave.values())


def instance_policies(subject: Subject) -> list[str]:
    """Those that look at one sample; without `own` where the branches have no confidence of their own."""
    said = subject.calibration.scores.values()
    owns = any(not np.array_equal(one[:, _OWN], one[:, _CONFIDENCE]) for one in said)
    return [name for name in POLICIES if not is_temporal(name) and (name != "own" or owns)]


def temporal_policies() -> list[str]:
    return [name for name in POLICIES if is_temporal(name)]


def is_temporal(policy: str) -> bool:
    (rule, *_) = path(policy, [1])
    return open_policy(rule).temporal


def bench_of(subject: Subject, task: Task) -> Bench:
    said = subject.calibration
    quality = task.quality(said.final_label_N, said.truth_N, said.group_N)
    return Bench(recorded=said, charge=subject.charge, quality=quality)


def compete(subject: Subject, task: Task, policies: Sequence[str] | None = None) -> Iterator[Score]:
    """The network without exits, then every policy tuned to the drop that the task accepts.

    `policies` are the instance policies that take part; None: all that there are.
    """
    bench = bench_of(subject, task)
    yield judge(subject, task, bench.judge(NO_EXIT), policy="none")
    instances = instance_policies(subject) if policies is None else policies
    for name in instances:
        score = judge(subject, task, tune(name, subject.cuts, bench, drop=task.drop), policy=name)
        if not task.streams:
            others = [tune(name, subject.cuts, bench, drop=part * task.drop) for part in AROUND]
            judged = [score, *(judge(subject, task, other, policy=name) for other in others)]
            score = replace(score, matched=at_loss(task.drop, judged))
        yield score
    if task.streams:
        yield from compete_in_time(subject, task, instances)


def compete_in_time(subject: Subject, task: Task, instances: Sequence[str]) -> Iterator[Score]:
    """Temporal policies, alone and over the best rules that these instance policies have."""
    bench = bench_of(subject, task)
    below = dict.fromkeys(_best_instance(subject, bench, part * task.drop, instances) for part in OVER_AT)
    for name in temporal_policies():
        yield judge(subject, task, tune_in_time(name, subject.cuts, bench, task.drop), policy=name)
        joined = {over: tune_in_time(name, subject.cuts, bench, task.drop, over=over) for over in below}
        over = min(joined, key=lambda over: joined[over].operations)
        yield judge(subject, task, joined[over], policy=f"{name}+{over.policy}")


def _best_instance(subject: Subject, bench: Bench, drop: float, instances: Sequence[str]) -> ExitRule:
    """The cheapest that holds."""
    tuned = [tune(name, subject.cuts, bench, drop=drop) for name in instances]
    return min(tuned, key=lambda one: one.operations).rule


def tune_in_time(policy: str, cuts: Sequence[int], bench: Bench, drop: float, *, over: ExitRule | None = None) -> Tuned:
    """The cheapest that holds, of the paths over one branch and over all."""
    if over is not None and not over.thresholds:
        over = None  # nobody left: nothing to stand over
    asked = dict.fromkeys([(cut,) for cut in cuts] + [tuple(cuts)])
    paths = [path(policy, list(some), over=over) for some in asked]
    found = [along_path(rules, bench, drop=drop) for rules in paths]
    if over is not None:
        found.append(bench.judge(over))
    return min(found, key=lambda tuned: tuned.operations)


def judge(subject: Subject, task: Task, tuned: Tuned, *, policy: str) -> Score:
    """What a rule that was tuned on calibration samples does on test samples."""
    said, rule = subject.test, tuned.rule
    walked = Bench(recorded=said, charge=subject.charge).walk(rule)
    found = task.measures(walked.label_N, said.truth_N)
    return Score(
        policy=policy,
        rule=str(rule),
        operations=subject.charge.share(walked, rule.asked),
        measures=found,
        lost=-task.quality(said.final_label_N, said.truth_N)(walked.label_N, said.truth_N),
        leave={cut: float(np.mean(walked.left_at_N == cut)) for cut in rule.asked},
        error=reliability(confidences(subject, walked), walked.label_N == said.truth_N).width_error,
        tuned_operations=tuned.operations / subject.charge.whole,
    )


def at_loss(lost: float, scores: Sequence[Score]) -> float:
    """Operations at which so much is lost, between the scores around it and the network without exits; where none loses
    as much, those of the one that loses most.
    """
    spots = sorted([(0.0, 1.0), *((max(0.0, score.lost), score.operations) for score in scores)])
    return float(np.interp(lost, [spot[0] for spot in spots], [spot[1] for spot in spots]))


def confidences(subject: Subject, walked: Walked) -> NDArray[np.float64]:
    """[N] how sure each sample's voice was: the branch at which it left, or the end."""
    said = subject.test
    logits_NK = said.final_NK.astype(np.float64) / subject.final_temperature
    odds_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    sure_N: NDArray[np.float64] = odds_NK.max(axis=1) / odds_NK.sum(axis=1)
    for cut, scores_NS in said.scores.items():
        left_N = walked.left_at_N == cut
        sure_N[left_N] = np.clip(scores_NS[left_N, _CONFIDENCE], 0.0, 1.0)
    return sure_N


def without_order(subject: Subject, *, seed: int) -> Subject:
    """The same samples in an order drawn at random, over all streams: neighbours have nothing to do with each other."""
    return replace(
        subject,
        calibration=_shuffled(subject.calibration, seed),
        test=_shuffled(subject.test, seed + 1),
    )


def _shuffled(said: Evidence, seed: int) -> Evidence:
    order_N = np.random.default_rng(seed).permutation(len(said))
    return replace(said.take(order_N), stream_N=said.stream_N)  # streams stay as long as they were
