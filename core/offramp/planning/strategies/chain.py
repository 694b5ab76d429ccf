"""A network as the papers see it: a chain that is divided once, crossed by one sample at a time.

    head on the device ─► encode ─► bits / bandwidth + round trip ─► decode ─► tail at the edge

No queues, no spread: the sum that Neurosurgeon, Edgent and DADS minimise each in its way. What a strategy reports is
the forecast of the full cost model all the same.

# C candidates
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.planning.bounds import wilson_low
from offramp.planning.candidates import Candidate
from offramp.planning.cost import CostModel
from offramp.planning.objective import Objective
from offramp.planning.roads import Floats
from offramp.planning.situation import Situation
from offramp.planning.strategies.strategy import Choice, Grounds


def undivided(grounds: Grounds) -> Candidate:
    """The whole network on the device, whether or not the bundle ships it as a candidate."""
    return known(grounds, grounds.manifest.end, "none") or imagined(grounds, grounds.manifest.end, "none", 0.0)


def plain(grounds: Grounds) -> list[Candidate]:
    """All recorded ways to divide the network without exits, and the whole of it on the device."""
    recorded = [item for item in grounds.candidates.candidates if not item.exit.thresholds]
    return recorded if any(item.codec == "none" for item in recorded) else [*recorded, undivided(grounds)]


def known(grounds: Grounds, split: int, codec: str) -> Candidate | None:
    """The recorded candidate that divides there without exits, and writes it so."""
    place = grounds.model.find(Plan(split=split, codec=codec))
    return None if place is None else grounds.model.candidates[place]


def accurate(candidates: Sequence[Candidate], objective: Objective) -> list[Candidate]:
    """Of each split, those that hold the objective's accuracy; where none does, the most accurate one."""
    kept = []
    for split in sorted({item.split for item in candidates}):
        here = [item for item in candidates if item.split == split]
        kept += [item for item in here if _holds(item, objective)] or [max(here, key=lambda item: item.accuracy)]
    return kept


def imagined(
    grounds: Grounds, split: int, codec: str, payload: float, *, rule: ExitRule = NO_EXIT, offload: float = 1.0
) -> Candidate:
    """One that nobody recorded: everybody passes its branches, and who is sent is answered as by the whole network."""
    accuracy = grounds.candidates.full_accuracy
    return Candidate(
        split=split,
        exit=rule,
        codec=codec,
        accuracy=accuracy,
        accuracy_low=wilson_low(accuracy, grounds.candidates.groups),
        reach=(1.0,) * len(rule.asked),
        offload=offload,
        payload_mean=payload,
        payload_p95=payload,
        loss_high=0.0,
        agreement=1.0,
    )


def model_of(grounds: Grounds, candidates: Iterable[Candidate]) -> CostModel:
    """What these cost on the same hosts."""
    theirs = replace(grounds.candidates, candidates=tuple(candidates))
    return CostModel(theirs, grounds.device, grounds.edge, grounds.energy)


def device_seconds(model: CostModel, situation: Situation) -> Floats:
    """[C] of the sample that stays longest: stages, branches and the codec."""
    busy_C: Floats = (model.times.head_C + model.times.encode_C) * situation.device_slow
    return busy_C


def transmit_seconds(model: CostModel, situation: Situation) -> Floats:
    """[C] on the uplink, of one that is sent; infinite in an outage."""
    if situation.bandwidth > 0:
        seconds_C: Floats = model.roads.bits_C / situation.bandwidth
        return seconds_C
    never_C: Floats = np.where(model.roads.goes_C > 0, np.inf, 0.0)
    return never_C


def away_seconds(model: CostModel, situation: Situation) -> Floats:
    """[C] of one that is sent and meets nobody: uplink, round trip and the edge."""
    after_C = situation.round_trip + situation.edge_wait + model.times.edge_C * situation.edge_slow
    away_C: Floats = transmit_seconds(model, situation) + after_C * model.roads.goes_C
    return away_C


def one_sample(model: CostModel, situation: Situation) -> Floats:
    """[C] seconds from the first stage to the answer."""
    return device_seconds(model, situation) + away_seconds(model, situation)


def chosen(model: CostModel, place: int, situation: Situation, objective: Objective, why: str) -> Choice:
    """One of a model's candidates, with what is expected of it."""
    forecast = model.forecast(place, situation, objective.deadline)
    return Choice(plan=model.candidates[place].plan(), forecast=forecast, why=why)


def _holds(candidate: Candidate, objective: Objective) -> bool:
    """By its confidence bounds."""
    enough = objective.accuracy is None or candidate.accuracy_low >= objective.accuracy
    return enough and (objective.drop is None or candidate.loss_high <= objective.drop)
