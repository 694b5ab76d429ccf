"""What it costs to ask an exit policy about one sample at one branch, for every policy of the catalogue.

    samples of a stream ─► what three branches say ─► (what is said, the state by then) at each branch, prepared
                                                              └─► decide, timed alone; the dearest branch is claimed

The reference, in the same run, is what a policy cannot do without: to read one score and compare it. Policies that wait
for the end of a sample (`settle`) are timed there too; that happens once for each sample, and is not claimed.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import CORES, Case, Claim, Times, a_parser, pin, report, shuffled
from offramp.bundle.manifest import SCORES
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.paths import path
from offramp.exits.policy import NO_STATE, BranchOutputs, ExitPolicy, State
from offramp.plan import ExitRule

CUTS = (1, 2, 3)
CLASSES = 10
SAMPLES = 24
"""Asked one after the other in one timed call, so that no sample's answer is a habit of the processor's."""
FUSED, OTHERS = 5.0, 12.0
"""µs, of policies that compare a fused score, and of the others."""
OVER = (("difference", "confidence"), ("temporal-patience", "exclusion"))
"""Not claimed: two policies cost what both cost, and a choice."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A sample in front of a branch."""

    outputs: BranchOutputs
    state: State


@dataclass(frozen=True, slots=True)
class Course:
    """Samples of one stream on their way past one policy: what it is asked, branch by branch, and what it hears."""

    policy: ExitPolicy
    at: tuple[list[Moment], ...]
    """By branch."""
    ends: list[State]


def main() -> int:
    arguments = a_parser(__doc__.partition("\n")[0]).parse_args()
    if arguments.pin:
        pin(CORES[0])
    courses = {policy: course(middle(path(policy, CUTS))) for policy in POLICIES}
    for first, second in OVER:
        below = middle(path(second, CUTS))
        courses[f"{first}+{second}"] = course(middle(path(first, CUTS, over=below)))
    cases: dict[str, Case] = {"comparison": compared([moment.outputs for moment in courses["confidence"].at[0]])}
    for name, one in courses.items():
        cases |= {f"{name}@{cut}": decided(one.policy, moments) for cut, moments in zip(CUTS, one.at, strict=True)}
        if one.ends[0]:
            cases[f"{name}, settle"] = settled(one.policy, one.ends)
    seconds = shuffled(cases, rounds=200 if arguments.quick else 2_000)
    times = Times({name: np.array(each) for name, each in seconds.items()})
    found = {name: times.p50(name) / SAMPLES * 1e6 for name in cases}
    claims = []
    for policy in POLICIES:
        dearest = max((f"{policy}@{cut}" for cut in CUTS), key=found.__getitem__)
        limit = FUSED if policy in SCORES else OTHERS
        ratio = found[dearest] / found["comparison"]
        claims.append(
            Claim(name=policy, found=found[dearest], limit=limit, unit="µs", detail=f"{ratio:.1f} × a bare comparison")
        )
    return report("an exit policy at one branch, batch 1", claims, {"microseconds": found}, arguments)


def course(rule: ExitRule) -> Course:
    policy, state = open_policy(rule), NO_STATE
    at: tuple[list[Moment], ...] = tuple([] for _ in CUTS)
    ends: list[State] = []
    for sample in range(SAMPLES + 1):
        for moments, cut in zip(at, CUTS, strict=True):
            outputs = a_branch(cut, sample)
            moments.append(Moment(outputs, state))
            _, state = policy.decide(outputs, state)
        ends.append(state)
        state = policy.settle(state, np.array([sample // 4 % CLASSES]))
    return Course(policy, tuple(moments[1:] for moments in at), ends[1:])  # the stream's first has no scene behind it


def a_branch(cut: int, sample: int) -> BranchOutputs:
    """About a sample of a scene of four: they look alike, but for noise."""
    noise_NK = np.random.default_rng([cut, sample]).normal(0, 1, (1, CLASSES))
    logits_NK = noise_NK + cut * (np.arange(CLASSES) == sample // 4 % CLASSES)
    p_K = np.exp(logits_NK[0]) / np.exp(logits_NK[0]).sum()
    scores_NS = np.array([[p_K.max(), 0.5, 0.5, 0.5]], np.float32)
    return BranchOutputs(cut, logits_NK.astype(np.float32), scores_NS)


def middle(rules: Sequence[ExitRule]) -> ExitRule:
    return rules[len(rules) // 2]


def compared(said: Sequence[BranchOutputs]) -> Case:
    threshold = np.array([0.9], np.float32)

    def compare() -> None:
        for outputs in said:
            outputs.scores_NS[:, 0] >= threshold  # noqa: B015 - what it costs is asked, not what it says

    return compare


def decided(policy: ExitPolicy, moments: Sequence[Moment]) -> Case:
    pairs = [(moment.outputs, moment.state) for moment in moments]
    decide: Callable[[BranchOutputs, State], object] = policy.decide

    def ask() -> None:
        for outputs, state in pairs:
            decide(outputs, state)

    return ask


def settled(policy: ExitPolicy, ends: Sequence[State]) -> Case:
    answer_N = np.array([1])

    def tell() -> None:
        for state in ends:
            policy.settle(state, answer_N)

    return tell


if __name__ == "__main__":
    sys.exit(main())
