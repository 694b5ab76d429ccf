"""The kinds of bottleneck that `--bottleneck CUT:KIND` names."""

from offramp.registry import Catalogue
from offramp_builder.bottlenecks.attention import Attention
from offramp_builder.bottlenecks.entropic import Entropic
from offramp_builder.bottlenecks.kind import BottleneckKind
from offramp_builder.bottlenecks.nested import Nested

BOTTLENECK_KINDS: Catalogue[BottleneckKind] = Catalogue(
    "kind of bottleneck", [("nested", Nested()), ("attention", Attention()), ("entropic", Entropic())]
)
