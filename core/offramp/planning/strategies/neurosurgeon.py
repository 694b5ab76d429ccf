"""Neurosurgeon: the best split, without exits (Kang et al., ASPLOS 2017).

    argmin over cuts k of   device(0..k) + bits(k) / bandwidth + round trip + edge(k..n)

The paper predicts each layer's time by a regression over its kind; here it is the measured profile of these hosts. It
leaves open what the round trip costs, and how the feature is written: it is sent as the network computes it. So it is
here, as `raw` at the input and `float32` after it, or by the nearest codec that can be used at a cut.

It rarely wins against compressed candidates: a float32 feature of a ResNet stage is 16 to 64 KiB, where a JPEG of the
input has one. Compression is what makes most splits worth considering.
"""

from offramp.codecs.catalog import codec_names
from offramp.planning.candidates import Candidate
from offramp.planning.situation import Situation
from offramp.planning.strategies.chain import chosen, imagined, known, model_of, one_sample, undivided
from offramp.planning.strategies.strategy import Choice, Grounds, Strategy
from offramp.units import format_seconds

AS_IT_IS = ("raw", "float32")
"""Codecs that write every value as it is, in their own dtype."""


class Neurosurgeon(Strategy):
    """Minimises the latency of one sample, whatever the objective says."""

    def __init__(self, grounds: Grounds) -> None:
        self._objective = grounds.objective
        splits = grounds.manifest.splits[:-1]
        self._model = model_of(grounds, [*(_uncompressed(grounds, split) for split in splits), undivided(grounds)])

    def choose(self, situation: Situation) -> Choice:
        seconds_C = one_sample(self._model, situation)
        place = int(seconds_C.argmin())
        split, seconds = self._model.candidates[place].split, format_seconds(float(seconds_C[place]))
        why = f"neurosurgeon: of {len(seconds_C)} splits, one sample is fastest with the one at {split}: {seconds}"
        return chosen(self._model, place, situation, self._objective, why)


def _uncompressed(grounds: Grounds, split: int) -> Candidate:
    names = codec_names(grounds.manifest, split)
    codec = next((name for name in AS_IT_IS if name in names), names[0])
    # Without a codec that keeps values as they are, sizes are known only of those that were recorded.
    recorded = None if codec in AS_IT_IS else known(grounds, split, codec)
    return recorded or imagined(grounds, split, codec, float(grounds.manifest.cuts[split].nbytes))
