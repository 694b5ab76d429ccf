"""What an exit can cost, sample by sample: the losses that a promise is about.

drop          right by the whole network and wrong by the exit, less the other way round: the mean is the accuracy lost
disagreement  another answer than the whole network's; needs no truth
brier         how much further the exit's probabilities lie from the truth than the whole network's, as half of Brier's
              score: the mean squared distance, in [0, 1], of the probabilities from the truth

Who does not leave loses nothing. They are Jazbec et al.'s (NeurIPS 2024, section 4) performance gap, prediction
consistency and probabilistic gap.

# N samples, T rules of a path, K classes
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from offramp.errors import SettingsError
from offramp.exits.bounds import Floats
from offramp.exits.catalog import open_policy
from offramp.exits.evidence import Evidence
from offramp.exits.walk import STAYED, Walked, walk
from offramp.plan import ExitRule

Progress = Callable[[int, int], None]
"""Takes (rules walked, rules in all)."""


class Loss(StrEnum):
    DROP = "drop"
    DISAGREEMENT = "disagreement"
    BRIER = "brier"

    @property
    def low(self) -> float:
        """The least that one sample can lose; less than 0 is a gain."""
        return 0.0 if self is Loss.DISAGREEMENT else -1.0

    @property
    def words(self) -> str:
        """For people: what a mean of it is."""
        return _WORDS[self]


_WORDS = {
    Loss.DROP: "accuracy lost against the whole network",
    Loss.DISAGREEMENT: "samples answered otherwise than by the whole network",
    Loss.BRIER: "Brier score (halved) above the whole network's",
}


def walks_of(
    evidence: Evidence, path: Sequence[ExitRule], progress: Progress = lambda _done, _total: None
) -> list[Walked]:
    """Where everybody leaves under each rule, decided by the deployed policies."""
    final_N = evidence.final_label_N
    walked = []
    for done, rule in enumerate(path):
        progress(done, len(path))
        walked.append(walk(open_policy(rule), rule.asked, evidence.hear, final_N, evidence.stream_N))
    progress(len(path), len(path))
    return walked


def losses_of(evidence: Evidence, walks: Sequence[Walked], loss: Loss, temperatures: Mapping[int, float]) -> Floats:
    """[N, T] what each sample loses under each rule.

    `temperatures` by the cut of branch or end, for probabilities.

    Raises:
        SettingsError: Nobody knows the truth of some samples, or answers are not those of their branches.
    """
    if loss is not Loss.DISAGREEMENT and (unknown := int((evidence.truth_N < 0).sum())):
        raise SettingsError(
            f"nobody knows the right class of {unknown:,} of {len(evidence):,} samples, so the {loss} cannot be told; "
            f"promise a disagreement instead"
        )
    full_N, truth_N = evidence.final_label_N, evidence.truth_N
    match loss:
        case Loss.DROP:
            right_N = (full_N == truth_N).astype(np.float64)
            columns = [right_N - (walked.label_N == truth_N) for walked in walks]
        case Loss.DISAGREEMENT:
            columns = [(walked.label_N != full_N).astype(np.float64) for walked in walks]
        case Loss.BRIER:
            columns = _brier_gaps(evidence, walks, temperatures)
    return np.stack(columns, axis=1)


def _brier_gaps(
    evidence: Evidence, walks: Sequence[Walked], temperatures: Mapping[int, float]
) -> list[NDArray[np.float64]]:
    end = max(temperatures)
    full_N = half_brier(evidence.final_NK, evidence.truth_N, temperatures[end])
    gaps = {
        cut: half_brier(logits_NK, evidence.truth_N, temperatures[cut]) - full_N
        for cut, logits_NK in evidence.logits.items()
    }
    columns = []
    for walked in walks:
        gap_N = np.zeros(len(evidence))
        for cut, logits_NK in evidence.logits.items():
            left_N = walked.left_at_N == cut
            if (logits_NK[left_N].argmax(axis=1) != walked.label_N[left_N]).any():
                raise SettingsError(
                    "this policy answers with labels that are not its branches', which have no probabilities; "
                    "promise a drop or a disagreement instead"
                )
            gap_N[left_N] = gaps[cut][left_N]
        columns.append(gap_N)
    return columns


def half_brier(logits_NK: NDArray[np.float32], truth_N: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """[N] half the squared distance of the probabilities from the truth (Brier, 1950): in [0, 1]."""
    wrong_NK = probabilities(logits_NK, temperature)
    wrong_NK[np.arange(len(truth_N)), truth_N] -= 1.0
    half_N: NDArray[np.float64] = (wrong_NK**2).sum(axis=1) / 2
    return half_N


def probabilities(logits_NK: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """[N, K] of the classes: the softmax of the logits, divided by the temperature."""
    scaled_NK = logits_NK.astype(np.float64) / temperature
    grown_NK = np.exp(scaled_NK - scaled_NK.max(axis=1, keepdims=True))
    p_NK: NDArray[np.float64] = grown_NK / grown_NK.sum(axis=1, keepdims=True)
    return p_NK


def exit_shares(walked: Walked, asked: Sequence[int]) -> list[tuple[int, float]]:
    """(cut, share of the samples that leave there), in order."""
    return [(cut, float(np.mean(walked.left_at_N == cut))) for cut in asked]


def staying(walked: Walked) -> float:
    """Share of the samples that go the whole way."""
    return float(np.mean(walked.left_at_N == STAYED))
