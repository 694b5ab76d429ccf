"""`nested`: one bottleneck, many rates. Channels and bits are drawn anew for each sample it learns from.

Since the first channels are sent most often, what matters most comes to lie there (nested dropout: Rippel, Gelbart,
Adams, "Learning Ordered Representations with Nested Dropout", ICML 2014); so any number of them can be sent at any
width without training again, and a payload with fewer is the beginning of one with more.
"""

from collections.abc import Sequence

from offramp_builder.bottlenecks.convolved import convolved
from offramp_builder.bottlenecks.kind import Design, Place, Step
from offramp_builder.bottlenecks.settings import BITS


class Nested:
    nested = True
    bits: tuple[int, ...] = BITS

    def design(self, place: Place, /) -> Design:
        return convolved(place)

    def steps(self) -> Sequence[Step]:
        return [Step(name="together", share=1.0, learn=("encoder", "decoder", "tail"))]
