"""A tape in the place of segments and codecs: what they said is looked up, what they cost passes on the clock.

    Sample.data holds the row of the tape ─► TapeSegment.run ─► that row's logits and scores, `cost` seconds later

So the deployed pipeline runs as it is: it cannot tell a tape from a network.

# N rows of it, K classes, S fused scores
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import SegmentSpec
from offramp.clock import Clock
from offramp.errors import PayloadError, PlanError
from offramp.exits.catalog import open_policy
from offramp.exits.exclusion import alive_of
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.exits.walk import Walked, walk
from offramp.measure.profile import Profile, cost_of_codec
from offramp.plan import ExitRule, Plan
from offramp.records import Array, Feature
from offramp.runtime.runtime import SegmentOutputs
from offramp.tape.reader import Tape
from offramp.units import Bytes, Seconds

ZEROS = bytes(1 << 20)
"""A payload's content is of no account here, its length is; slicing this is faster than making bytes."""


class TapeRuntime:
    """Follows `offramp.runtime.runtime.Runtime` for one board."""

    def __init__(self, tape: Tape, manifest: Manifest, profile: Profile, clock: Clock) -> None:
        self.clock = clock
        """On which segments and codecs take their time; plans are opened on another one than they are used on."""
        self._tape = tape
        self._manifest = manifest
        self._profile = profile
        self._segments: dict[tuple[int, int, bool, str], TapeSegment] = {}

    def open(self, start: int, stop: int, *, branch: bool, via: str = "") -> "TapeSegment":
        key = (start, stop, branch, via)
        if key not in self._segments:
            self._segments[key] = self._read(self._manifest.segment(start, stop, branch=branch, via=via))
        return self._segments[key]

    def close(self) -> None:
        self._segments.clear()

    def _read(self, spec: SegmentSpec) -> "TapeSegment":
        ends = spec.stop == self._manifest.end
        cost = self._profile.segment(spec.start, spec.stop, branch=spec.branch, via=spec.via).expected
        logits_N1K = scores_N1S = None
        if spec.branch or ends:
            voice = self._tape.final() if ends else self._tape.branch(spec.stop)
            assert voice.scores_NS is not None  # only tails carry none
            # Rows with a batch dimension of 1, made once: indexing gives views.
            logits_N1K, scores_N1S = voice.logits_Nk[:, None, :], voice.scores_NS[:, None, :]
        return TapeSegment(spec, Seconds(cost), self, ends, logits_N1K, scores_N1S)


@dataclass(slots=True, eq=False)
class TapeSegment:
    """Follows `offramp.runtime.runtime.Segment`; the feature of a sample is the number of its row."""

    spec: SegmentSpec
    cost: Seconds
    host: TapeRuntime
    ends: bool
    logits_N1K: NDArray[np.float32] | None
    scores_N1S: NDArray[np.float32] | None

    def run(self, feature: Feature) -> SegmentOutputs:
        self.host.clock.sleep(self.cost)
        left: Feature = () if self.ends else feature
        if self.logits_N1K is None or self.scores_N1S is None:
            return SegmentOutputs(left)
        row = row_of(feature)
        return SegmentOutputs(left, self.logits_N1K[row], self.scores_N1S[row])


class TapeCodec:
    """Follows `offramp.codecs.codec.Codec`: payloads of the recorded length."""

    def __init__(self, tape: Tape, profile: Profile, host: TapeRuntime, split: int, name: str) -> None:
        self.name = name
        self._bytes_N = tape.payload_bytes(split, name)
        self.max_payload = Bytes(int(self._bytes_N.max()))
        self._cost = Seconds(cost_of_codec(profile.encode, split, name).expected)
        self._host = host

    def encode(self, feature: Feature) -> bytes:
        self._host.clock.sleep(self._cost)
        return ZEROS[: int(self._bytes_N[row_of(feature)])]

    def decode(self, payload: bytes) -> Feature:
        raise PayloadError(f"{len(payload)} bytes of a replayed payload hold no feature; the edge reads the tape")


def refuse_another_head(plan: Plan, tape: Tape) -> None:
    """
    Raises:
        PlanError: The plan runs another head than the tape was recorded with.
    """
    if plan.head != tape.header.head:
        there, asked = (head or "that is the bundle's own" for head in (tape.header.head, plan.head))
        raise PlanError(
            f"{tape.path} was recorded with the head {there}, and the plan {plan} runs {asked}; give a tape of it "
            "(offramp evaluate record has --head), or another plan"
        )


def walk_tape(tape: Tape, rule: ExitRule, row_N: NDArray[np.intp], final_N: NDArray[np.int64]) -> Walked:
    """Where these rows leave under the rule, one after the other as one stream; `final_N` answers who stays."""
    return walk(open_policy(rule), rule.asked, partial(_hear, tape, row_N), final_N)


def alive_on_tape(tape: Tape, rule: ExitRule, row_N: NDArray[np.intp]) -> NDArray[np.bool_] | None:
    """[N, K] the classes that all branches of the rule leave, where they leave any; None: it excludes none."""
    policy, state, everybody = open_policy(rule), NO_STATE, np.arange(len(row_N))
    for cut in rule.asked:
        _, state = policy.decide(_hear(tape, row_N, cut, everybody), state)
    alive_NK = alive_of(state)
    return None if alive_NK is None else alive_NK | ~alive_NK.any(axis=1, keepdims=True)


def _hear(tape: Tape, row_N: NDArray[np.intp], cut: int, at: NDArray[np.intp]) -> BranchOutputs:
    voice = tape.branch(cut)
    assert voice.scores_NS is not None  # only tails carry none
    rows = row_N[at]
    return BranchOutputs(cut, voice.logits_Nk[rows], voice.scores_NS[rows])


def row_of(feature: Feature) -> int:
    """The row of the tape that a replayed feature stands for; a feature of zeros, row 0."""
    return int(feature[0].flat[0])


def row_data(row: int) -> Array:
    """What a replayed sample carries as its data; the pipeline adds the batch dimension."""
    return np.int64(row)  # type: ignore[return-value]
