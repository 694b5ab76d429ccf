"""Every plan worth considering, from observations on the calibration split.

    Observations ─► exit rules × (split, codec) ─► accuracy, shares, bytes ─► those that no other one covers

# M samples, C candidates of one split, D costs
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.measure.observe import Observations
from offramp.planning.candidates import Candidate, Candidates, input_format
from offramp.planning.front import uncovered
from offramp.planning.judging import Ending, Judge, doubting, everybody, walk_under
from offramp.planning.rules import rules_for

SLACK = 0.02
"""Candidates that differ by less, in shares of operations, samples or bytes, are one: no profile tells them apart."""
ACCURACY_SLACK = 0.002
"""The same for accuracy, beside the loss: who reads one of them is to find the best of it, nearly."""
BRANCH_SLACK = 0.1
"""The same for the number of branches asked: one costs a few hundredths of a network."""


def enumerate_candidates(
    observations: Observations,
    truth_M: NDArray[np.int64],
    group_M: NDArray[np.int64],
    manifest: Manifest,
    heads: Mapping[str, Observations] = MappingProxyType({}),
) -> Candidates:
    """Every plan worth considering; those that another one covers in all respects are left out.

    Plans without exits stay, of each way to send the input the best: tables compare with them. `heads` are observations
    of the same samples with other heads, by name: their plans are held against the bundle's own whole network, and
    covered by none but their own, for no profile says yet which head is the faster.
    """
    right_M = observations.final_labels_M == truth_M
    judge = Judge(right_M, group_M)
    found = _enumerate(observations, truth_M, judge, manifest)
    for head, seen in heads.items():
        found += _enumerate(seen, truth_M, judge, manifest, head)
    return Candidates(
        model_digest=manifest.model_digest,
        samples=len(truth_M),
        groups=judge.groups,
        full_accuracy=float(right_M.mean()),
        candidates=tuple(found),
    )


def _enumerate(
    observations: Observations, truth_M: NDArray[np.int64], judge: Judge, manifest: Manifest, head: str = ""
) -> list[Candidate]:
    endings = [
        Ending(split, codec, said.labels_M == truth_M, said.payload_bytes_M, head=head)
        for (split, codec), said in observations.edge.items()
    ]
    nothing_M = np.zeros(len(truth_M), dtype=np.int64)
    right_M = observations.final_labels_M == truth_M
    endings.append(Ending(manifest.end, "none", right_M, nothing_M, head=head))
    cuts = [branch.cut for branch in manifest.branches]
    walks = [walk_under(rule, observations, truth_M) for rule in rules_for(cuts)]
    found: list[Candidate] = []
    for split in sorted({ending.split for ending in endings}):
        rivals = [ending for ending in endings if ending.split == split]
        plain = [judge.judge(everybody(len(truth_M)), ending) for ending in rivals]
        found.extend(_baselines(plain))
        judged = [judge.judge(walk, ending) for walk in walks if walk.last <= split for ending in rivals]
        kept = _worth_keeping(judged, plain, manifest)
        mixed = [judge.judge(walk, ending) for walk, ending in doubting(kept, walks, rivals, observations)]
        found.extend(_worth_keeping([*kept, *mixed], plain, manifest) if mixed else kept)
    return found


def _baselines(plain: Sequence[Candidate]) -> Iterator[Candidate]:
    """Plans without exits at one split: more bytes must buy accuracy; at the input, within one format."""
    families: dict[str, list[Candidate]] = {}
    for one in plain:
        families.setdefault(input_format(one.codec) if one.split == 0 else "", []).append(one)
    for rivals in families.values():
        best = -1.0
        for rival in sorted(rivals, key=lambda item: (item.payload_mean, -item.accuracy)):
            if rival.accuracy > best:
                best = rival.accuracy
                yield rival


def _worth_keeping(judged: Sequence[Candidate], plain: Sequence[Candidate], manifest: Manifest) -> list[Candidate]:
    """Plans with exits at one split that no other plan there covers."""
    if not judged:
        return []
    both = [*plain, *judged]
    kept_C = np.array([-one.loss_high for one in both])
    cost_CD = np.array([[1 - one.accuracy, *_costs(one, manifest)] for one in both])
    slack_CD = np.tile([ACCURACY_SLACK, SLACK, SLACK, BRANCH_SLACK, SLACK, 0.0], (len(both), 1))
    slack_CD[:, -1] = SLACK * cost_CD[:, -1]
    return [both[place] for place in sorted(uncovered(kept_C, cost_CD, slack_CD)) if place >= len(plain)]


def _costs(candidate: Candidate, manifest: Manifest) -> list[float]:
    """Of an average sample: operations on the device and at the edge in networks, branches asked, share sent, bytes.

    The cost formula grows with each of these and with nothing else, as far as operations tell a host's time: what is
    covered here would hardly win anywhere.
    """
    macs = [stage.macs for stage in manifest.stages]
    here, executed = 0, 0.0
    shares = [*candidate.reach, candidate.offload]
    for stop, share in zip([*candidate.exit.asked, candidate.split], shares, strict=True):
        executed += share * sum(macs[here:stop])
        here = stop
    finished = sum(macs[candidate.split :])
    if candidate.via:
        bottleneck = manifest.bottleneck(candidate.via)
        executed += candidate.offload * bottleneck.encoder_macs
        finished = bottleneck.tail_macs
    return [
        executed / max(1, sum(macs)),
        candidate.offload * finished / max(1, sum(macs)),
        sum(candidate.reach),
        candidate.offload,
        candidate.offload * candidate.payload_mean,
    ]
