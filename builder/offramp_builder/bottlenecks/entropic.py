"""`entropic`: a narrow encoder that is told what its bytes are worth, after BottleFit and the Entropic Student.

Encoder and decoder learn features and answers of the unchanged network, while a prior learns how often each level
occurs in each channel and what it costs therefore; then the encoder stands still, and decoder and tail learn on
(Matsubara and others, arXiv 2201.02693 and 2203.08875). Its codecs end in +range, whose counts are those of the
calibration samples.
"""

from collections.abc import Sequence

from offramp_builder.bottlenecks.convolved import convolved
from offramp_builder.bottlenecks.kind import Design, Place, Step


class Entropic:
    nested = False
    bits: tuple[int, ...] = (4,)

    def design(self, place: Place, /) -> Design:
        return convolved(place)

    def steps(self) -> Sequence[Step]:
        return [
            Step(name="features", share=0.5, learn=("encoder", "decoder"), features=5.0, bytes=True),
            Step(name="answers", share=0.5, learn=("decoder", "tail")),
        ]
