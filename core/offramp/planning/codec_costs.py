"""Why this codec: what one request takes at a split, by each of the codecs that candidates send there.

    last decision ─► stages, encoder ─► encode ─► bytes over the link ─► decode ─► tail

What all of them have alike is left out: what came before the last decision, waiting, and the round trip.
"""

from dataclasses import dataclass

from offramp.measure.profile import cost_of_codec
from offramp.plan import NO_EXIT, Plan
from offramp.planning.candidates import Candidate
from offramp.planning.cost import CostModel
from offramp.planning.situation import Situation
from offramp.units import Seconds
from offramp.wire.framing import request_wire_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecCost:
    """Of one request, on average."""

    codec: str
    head: Seconds
    """Stages since the last decision, and the bottleneck's encoder."""
    encode: Seconds
    wire_bytes: float
    transmit: Seconds
    """Infinite where there is no link."""
    decode: Seconds
    tail: Seconds
    loss_high: float
    """Upper bound of the accuracy lost by everybody who is sent."""

    @property
    def total(self) -> Seconds:
        return Seconds(self.head + self.encode + self.transmit + self.decode + self.tail)


def codec_costs(model: CostModel, situation: Situation, plan: Plan) -> list[CodecCost]:
    """The quickest first; nothing of a plan that sends nothing."""
    if plan.codec == "none":
        return []
    found: dict[str, Candidate] = {}
    # Those of this rule last: who stays under it has payloads of another length than everybody.
    for rule in (NO_EXIT, plan.exit):
        here = (plan.split, plan.head, rule, None)
        found |= {
            item.codec: item for item in model.candidates if (item.split, item.head, item.exit, item.unsure) == here
        }
    costs = [_cost(model, situation, plan, item) for item in found.values()]
    return sorted(costs, key=lambda cost: cost.total)


def _cost(model: CostModel, situation: Situation, plan: Plan, item: Candidate) -> CodecCost:
    last = plan.exit.asked[-1] if plan.exit.asked else 0
    device, edge = model.device.headed(item.head), model.edge
    here, there = situation.device_slow, situation.edge_slow
    size = request_wire_bytes(round(item.payload_mean))
    return CodecCost(
        codec=item.codec,
        head=Seconds(here * device.segment(last, item.split, via=item.via).expected),
        encode=Seconds(here * cost_of_codec(device.encode, item.split, item.codec).expected),
        wire_bytes=size,
        transmit=Seconds(8 * size / situation.bandwidth if situation.bandwidth > 0 else float("inf")),
        decode=Seconds(there * cost_of_codec(edge.decode, item.split, item.codec).expected),
        tail=Seconds(there * edge.segment(item.split, edge.end, via=item.via).expected),
        loss_high=item.loss_high,
    )
