"""Candidates: plans worth considering, with what they are worth, free of any host's timing.

From observations on the calibration split, each (split × exit rule × codec) gets its accuracy with a lower confidence
bound, the share of samples that reach each branch and the uplink, and its bytes (`offramp.planning.enumerating`). With
the profile of *this* host and the link of *this* moment, `offramp.planning.cost` turns them into latency.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from offramp.bundle.jsonform import UNLESS_DEFAULT, from_json, to_json
from offramp.bundle.store import Bundle
from offramp.errors import BundleError
from offramp.plan import ExitRule, Plan, Unsure, via_of
from offramp.records import NO_REVISION, Revision

FILE = "candidates.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan without its revision, and what it was worth on the calibration split."""

    split: int
    exit: ExitRule
    codec: str
    accuracy: float
    accuracy_low: float
    """Lower confidence bound; dependent samples (one run, one patient) count as one."""
    loss_high: float
    """Upper confidence bound of the accuracy lost against the whole network, paired sample by sample (`PairedLoss`)."""
    agreement: float
    """Of those who leave at a branch, the share that is labelled as by the whole network; 1 when nobody leaves."""
    reach: tuple[float, ...]
    """Share of samples still on the road at each asked branch; the first is 1."""
    offload: float
    """Share of samples that are sent (or that end at cut n, when nothing is sent)."""
    payload_mean: float
    """Bytes of one sent payload, on average over the samples that are sent."""
    payload_p95: float
    head: str = field(default="", metadata=UNLESS_DEFAULT)
    """In which form the device runs its stages and branches; empty: the bundle's own."""
    unsure: Unsure | None = field(default=None, metadata=UNLESS_DEFAULT)
    """Another codec for those that the last branch is not sure of: another rate of the same bottleneck."""
    doubted: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Share of those sent that is written with it."""

    @property
    def codecs(self) -> tuple[str, ...]:
        """All that it writes payloads with."""
        return (self.codec,) if self.unsure is None else (self.codec, self.unsure.codec)

    @property
    def via(self) -> str:
        """The bottleneck that its codec names; empty where the feature itself crosses."""
        return via_of(self.codec)

    def plan(self, revision: Revision = NO_REVISION) -> Plan:
        return Plan(
            split=self.split, exit=self.exit, codec=self.codec, unsure=self.unsure, head=self.head, revision=revision
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The attachment `candidates.json` of a bundle."""

    model_digest: str
    samples: int
    groups: int
    """Independent units among the samples; the bounds count these."""
    full_accuracy: float
    """Of the whole network on the same samples."""
    candidates: tuple[Candidate, ...]

    def of_head(self, head: str) -> "Candidates":
        """Those of one head alone: what a tape of it can tell."""
        return replace(self, candidates=tuple(one for one in self.candidates if one.head == head))


def write_candidates(candidates: Candidates, path: Path) -> None:
    path.write_text(json.dumps(to_json(candidates), separators=(",", ":")) + "\n", encoding="utf-8")


def read_candidates(bundle: Bundle) -> Candidates:
    """
    Raises:
        BundleError: The bundle ships none, malformed ones, or those of another model.
    """
    path = bundle.file(FILE)
    if not path.is_file():
        raise BundleError(f"{bundle.path} ships no {FILE}; build it with calibration data to be able to plan with it")
    try:
        candidates = from_json(Candidates, json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}); build the bundle again") from error
    if candidates.model_digest != bundle.manifest.model_digest:
        raise BundleError(f"{path} belongs to another model; build the bundle again")
    return candidates


def input_format(codec: str) -> str:
    """The family of an input codec, such as jpeg of jpeg:90: each is a baseline of its own."""
    return codec.partition("+")[0].partition(":")[0]
