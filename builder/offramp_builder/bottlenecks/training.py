"""Training bottlenecks on a network that stands still.

    request ─► place ─► design ─► steps, each a training of its own ─► folded, judged ─► Bottleneck

# N samples, C channels
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from offramp.bundle.tables import CutTables, ProbeTables
from offramp.data import Parts
from offramp.errors import ModelError
from offramp_builder.bottlenecks.around import Around, check_bottlenecks
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.choosing import Judged, codes, judge, worth_trying
from offramp_builder.bottlenecks.detour import Detour, Stages
from offramp_builder.bottlenecks.layers import Heeding, folded
from offramp_builder.bottlenecks.lessons import Lessons, lessons
from offramp_builder.bottlenecks.probing import SAMPLES, fit_probe
from offramp_builder.bottlenecks.school import School, Waiting, some_features, spread_batches
from offramp_builder.bottlenecks.settings import BottleneckRequest, BottleneckSettings
from offramp_builder.branches.cache import Progress
from offramp_builder.capture import Captured
from offramp_builder.tables import tabulate_codes
from offramp_builder.training.augment import allowed
from offramp_builder.training.watch import Watch

_TABULATED = 500
"""Calibration samples that counts of levels are taken from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Begun:
    """A bottleneck that learns with the network before it, and will learn on without."""

    name: str
    request: BottleneckRequest
    position: int
    """Where it leaves the network."""
    detour: Detour


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedBottleneck:
    """A bottleneck, and what it was found to be worth."""

    bottleneck: Bottleneck
    request: BottleneckRequest
    tables: CutTables
    """Of its code: how often each level occurs, and its probe."""
    judged: tuple[Judged, ...]
    """Every rate, on calibration samples; the cheapest first."""

    @property
    def summary(self) -> str:
        """What is worth trying, with its mean bytes and the accuracy of its answers on calibration samples."""
        return ", ".join(str(one) for one in self.judged if one.codec in self.bottleneck.codecs)


def train_bottlenecks(
    captured: Captured,
    settings: BottleneckSettings,
    parts: Parts,
    *,
    branches: Mapping[int, nn.Module] = MappingProxyType({}),
    begun: Sequence[Begun] = (),
    waiting: Waiting = lambda _step: None,
    watch: Watch | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[TrainedBottleneck]:
    """Train what `settings.at` asks for, from what has begun with the network if it has; the network stays as it is.

    An interrupted training goes on from the checkpoints that `waiting` names. `branches` have learned, and give hints.

    Raises:
        ModelError: A bottleneck cannot be where it is asked for, or `settings.weights` are not its.
        InputError: As for any training.
    """
    places, settings = check_bottlenecks(captured, settings), allowed(settings, parts.train)
    state = read_bottlenecks(settings.weights) if settings.weights else {}
    detours = {one.name: _going_on(one, named(settings.requests).get(one.name)) for one in begun}
    learns = settings.weights is None or settings.onward
    found = []
    kept: dict[int, Lessons] = {}  # of one place at a time: they may be gigabytes
    for (name, request), around in zip(named(settings.requests).items(), places, strict=True):
        beside = around.own_stages and name in detours
        # Stages that learned beside the network's have become others: kept to what those say, a ResNet-8's bottleneck
        # answered 72 % of its samples after an epoch; left to themselves, all.
        mine = replace(settings, features=0.0) if beside else settings
        if learns and around.leaves not in kept:
            kept.clear()
            kept[around.leaves] = lessons(captured, around.leaves, parts.train, settings, progress=progress)
        school = School(
            captured=captured,
            around=around,
            name=name,
            request=request,
            settings=mine,
            learned=kept.get(around.leaves),
            sample=some_features(captured, around.cut, parts),
            branch=branches.get(around.cut),
            waiting=waiting,
            watch=watch,
        )
        detour = detours.get(name) or (school.opened(state) if settings.weights else school.designed())
        if learns:
            school.teach(detour)
        state[name] = detour.state_dict()
        ready = _ready(detour, around, name, settings)
        tables = tabulate_codes(captured, [ready], spread_batches(parts.calibration, _TABULATED))[name]
        tables = replace(tables, probe=_probe(captured, ready, detour, parts))
        judged = judge(captured, ready, detour.rates, parts.calibration, tables, progress=progress)
        ready = replace(ready, codecs=worth_trying(judged))
        found.append(TrainedBottleneck(bottleneck=ready, request=request, tables=tables, judged=judged))
    if settings.save:
        torch.save(state, settings.save)
    return found


def begin(
    captured: Captured,
    settings: BottleneckSettings,
    parts: Parts,
    branches: Mapping[int, nn.Module] = MappingProxyType({}),
) -> list[Begun]:
    """The bottlenecks that `settings.at` asks for, untrained, for a training of the whole network; `branches` have
    learned before.

    Raises:
        ModelError: As for `check_bottlenecks`.
    """
    places = check_bottlenecks(captured, settings)
    return [
        Begun(
            name=name,
            request=request,
            position=around.leaves,
            detour=School(
                captured=captured,
                around=around,
                name=name,
                request=request,
                settings=settings,
                sample=some_features(captured, around.cut, parts),
                branch=branches.get(around.cut),
            ).designed(),
        )
        for (name, request), around in zip(named(settings.requests).items(), places, strict=True)
    ]


def told(trained: Sequence[TrainedBottleneck]) -> dict[str, str]:
    """For provenance."""
    return {f"bottleneck_{one.bottleneck.name}": f"{_what(one.request)}: {one.summary}" for one in trained}


def named(requests: Sequence[BottleneckRequest]) -> dict[str, BottleneckRequest]:
    """By name: that of its kind, numbered from the second one on."""
    found: dict[str, BottleneckRequest] = {}
    for request in requests:
        before = sum(one.kind == request.kind for one in found.values())
        found[request.kind + (f"-{before + 1}" if before else "")] = request
    return found


def read_bottlenecks(path: Path) -> dict[str, Any]:
    """State dicts by the bottlenecks' names, as `BottleneckSettings.save` left them.

    Raises:
        ModelError: The file holds none.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its archive reader and unpickler raise
        raise ModelError(f"{path} holds no weights of bottlenecks ({error}); train them without it") from error
    return state


def _going_on(begun: Begun, request: BottleneckRequest | None) -> Detour:
    if request != begun.request:
        raise ModelError(
            f"what learned with the network does not fit the bottleneck {begun.name}: it was {begun.request}, and is "
            f"asked for as {request}"
        )
    return begun.detour


def _what(request: BottleneckRequest) -> str:
    return request.kind if request.leaves is None else f"{request.kind} behind its own stages up to {request.cut}"


def _ready(detour: Detour, around: Around, name: str, settings: BottleneckSettings) -> Bottleneck:
    detour.learn(())
    return Bottleneck(
        position=around.leaves,
        name=name,
        encoder=folded(detour.encoder),
        decoder=folded(detour.decoder),
        tail=_shipped(detour.tail) if settings.own_tail else None,
    )


def _probe(captured: Captured, bottleneck: Bottleneck, detour: Detour, parts: Parts) -> ProbeTables | None:
    """Of a code that has several numbers of channels."""
    sent = detour.rates.sent
    if len(sent) < 2:
        return None
    rows = np.unique(np.linspace(0, len(parts.train) - 1, SAMPLES).astype(np.int64))
    some = parts.train.take(rows)
    return fit_probe(codes(captured, bottleneck, some), some.truth_N, sent, detour.classes)


def _shipped(tail: nn.Module) -> nn.Module:
    """Without what training needs of it."""
    if isinstance(tail, Heeding):
        return Heeding(_shipped(tail.tail)).eval()
    assert isinstance(tail, Stages)
    return tail.graph.eval()
