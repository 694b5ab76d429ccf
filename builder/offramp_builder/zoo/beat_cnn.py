"""The network of the health task: heartbeats from a window of one lead and what this patient's look like.

    window [N, 320] ─ convolution ─┐
                                   + ─ norm ─ stem 160x12 ─ block1 80x8 ─ block2 40x12 ─ block3 20x24 … block6 10x48
    patient [N, 7] ─── linear ─────┘

Rhythm and shape, beside those of the patient's beats before, are added to every channel at the beginning, so each cut
has one tensor and each branch sees both.

# N samples, P values beside the patient's, C channels, L length in time, K classes
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from offramp.data.beats import PATIENT
from offramp.errors import ModelError
from offramp_builder.zoo.ecg_cnn import EcgBlock

BLOCKS = ((8, 2), (12, 2), (24, 2), (24, 1), (48, 2), (48, 1))
"""(channels, stride) of the whole network's."""
_STEM = 12


class BeatStem(nn.Module):
    """Half the length of the window; rhythm and shape move the level of every channel."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.window = nn.Conv1d(1, out, 9, 2, 4, bias=False)
        self.patient = nn.Linear(PATIENT, out, bias=False)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, beat_N1L: Tensor) -> Tensor:
        window_N1L, patient_NP = beat_N1L[:, :, :-PATIENT], beat_N1L[:, 0, -PATIENT:]
        return functional.relu(self.norm(self.window(window_N1L) + self.patient(patient_NP).unsqueeze(2)))


class BeatCnn(nn.Module):
    """One million multiply-accumulates at 320 values; with other blocks, what it is compared with."""

    def __init__(
        self, num_classes: int, blocks: Sequence[tuple[int, int]] = BLOCKS, stem: int = _STEM, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.stem = BeatStem(stem)
        named, before = OrderedDict[str, nn.Module](), stem
        for number, (channels, stride) in enumerate(blocks, 1):
            named[f"block{number}"] = EcgBlock(before, channels, stride)
            before = channels
        self.blocks = nn.Sequential(named)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(before, num_classes)

    def forward(self, beat_N1L: Tensor) -> Tensor:
        logits_NK: Tensor = self.classifier(self.dropout(self.blocks(self.stem(beat_N1L)).mean(2)))
        return logits_NK


def beat_cnn(num_classes: int, shape: tuple[int, ...]) -> nn.Module:
    if len(shape) != 1 or shape[0] < 64 + PATIENT:
        raise ModelError(
            f"beat_cnn takes a window of at least 64 values of one lead and {PATIENT} of rhythm and shape behind them, "
            f"not a sample of shape {shape}; ecg_cnn takes windows alone"
        )
    return BeatCnn(num_classes)
