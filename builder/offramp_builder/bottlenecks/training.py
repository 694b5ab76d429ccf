"""Training bottlenecks on a network that stands still.

    request ─► place ─► design ─► steps, each a training of its own ─► folded, judged ─► Bottleneck

# N samples, C channels
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from offramp.bundle.tables import CutTables
from offramp.data import DataSet, Parts
from offramp.errors import InputError, ModelError
from offramp_builder.bottlenecks.attention import Attending
from offramp_builder.bottlenecks.bottleneck import Bottleneck
from offramp_builder.bottlenecks.catalog import BOTTLENECK_KINDS
from offramp_builder.bottlenecks.choosing import Judged, judge, worth_trying
from offramp_builder.bottlenecks.detour import Detour, Tail, Way
from offramp_builder.bottlenecks.kind import SHARE, Place
from offramp_builder.bottlenecks.layers import Form, folded
from offramp_builder.bottlenecks.lessons import Lessons, lessons
from offramp_builder.bottlenecks.quantise import Histogram, Rates, chosen_sizes
from offramp_builder.bottlenecks.settings import BottleneckRequest, BottleneckSettings
from offramp_builder.bottlenecks.taught import Answers, Taught
from offramp_builder.branches.cache import Progress
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.tables import tabulate_codes
from offramp_builder.training.augment import allowed
from offramp_builder.training.trainer import batches_of, train
from offramp_builder.training.watch import Watch

_RANKING = 0.2
"""Share of the epochs that ranks channels, on top of a kind's steps."""
_TABULATED = 500
"""Calibration samples that counts of levels are taken from."""
_TRIED, _ROOM = 1_000, 1 << 28
"""Samples whose features a bottleneck begins with, and bytes of these at most: 256 MiB."""
_AT_ONCE = 64
"""Samples whose gradients are kept together."""

Waiting = Callable[[str], Path | None]
"""Where the checkpoint of this step lies; None: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedBottleneck:
    """A bottleneck, and what it was found to be worth."""

    bottleneck: Bottleneck
    kind: str
    tables: CutTables
    """Of its code: how often each level occurs."""
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
    waiting: Waiting = lambda _step: None,
    watch: Watch | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[TrainedBottleneck]:
    """Train what `settings.at` asks for; the network stays as it is.

    An interrupted training goes on from the checkpoints that `waiting` names.

    Raises:
        ModelError: A bottleneck cannot be where it is asked for, or `settings.weights` are not its.
        InputError: As for any training.
    """
    places, settings = check_bottlenecks(captured, settings), allowed(settings, parts.train)
    state = read_bottlenecks(settings.weights) if settings.weights else {}
    learns = settings.weights is None or settings.onward
    found = []
    for (name, request), position in zip(named(settings.requests).items(), places, strict=True):
        school = _School(
            captured=captured,
            position=position,
            name=name,
            request=request,
            settings=settings,
            learned=lessons(captured, position, parts.train, settings, progress=progress) if learns else None,
            sample=_some_features(captured, position, parts),
            waiting=waiting,
            watch=watch,
        )
        detour = school.opened(state) if settings.weights else school.designed()
        if learns:
            school.teach(detour)
        state[name] = detour.state_dict()
        ready = _ready(detour, position, name, settings)
        tables = tabulate_codes(captured, [ready], _batches(parts.calibration, _TABULATED))[name]
        judged = judge(captured, ready, detour.rates, parts.calibration, tables, progress=progress)
        ready = replace(ready, codecs=worth_trying(judged))
        found.append(TrainedBottleneck(bottleneck=ready, kind=request.kind, tables=tables, judged=judged))
    if settings.save:
        torch.save(state, settings.save)
    return found


def told(trained: Sequence[TrainedBottleneck]) -> dict[str, str]:
    """For provenance."""
    return {f"bottleneck_{one.bottleneck.name}": f"{one.kind}: {one.summary}" for one in trained}


def check_bottlenecks(captured: Captured, settings: BottleneckSettings) -> list[int]:
    """Where the bottlenecks are; what cannot be is refused before anything is trained.

    Raises:
        ModelError: A cut is none that a plan may split at, or what crosses there is not one tensor of floats.
        InputError: There is no place to save them in.
    """
    if settings.save is not None and not settings.save.parent.is_dir():
        raise InputError(f"there is no folder {settings.save.parent} to save bottlenecks in; make it first")
    return [_position(captured, request) for request in settings.requests]


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _School:
    """Where one bottleneck is taught."""

    captured: Captured
    position: int
    name: str
    request: BottleneckRequest
    settings: BottleneckSettings
    learned: Lessons | None
    """None where the weights are there already."""
    sample: Tensor
    """Some features."""
    waiting: Waiting
    watch: Watch | None

    def teach(self, detour: Detour) -> None:
        """Step by step."""
        assert self.learned is not None
        kind = BOTTLENECK_KINDS[self.request.kind]
        prior = Histogram(detour.rates.sent[-1], max(detour.rates.bits))
        for step in kind.steps():
            detour.learn([part for part in step.learn if part != "tail" or self.settings.own_tail])
            detour.answers = step.answers
            objective = Taught(detour, self.learned.final, self.settings, step, prior)
            self._teach(step.name, detour, objective, step.share)

    def opened(self, state: dict[str, Any]) -> Detour:
        """With the weights of one that was trained before.

        Raises:
            ModelError: It was another one.
        """
        detour = self.designed()
        try:
            detour.load_state_dict(state.get(self.name, {}))
        except RuntimeError as error:
            raise ModelError(f"{self.settings.weights} does not fit the bottleneck {self.name}: {error}") from error
        return detour

    def designed(self) -> Detour:
        """Untrained."""
        torch.manual_seed(self.settings.seed)
        kind = BOTTLENECK_KINDS[self.request.kind]
        design = kind.design(self._place())
        sent = chosen_sizes(design.channels, self.settings.sent) if kind.nested else (design.channels,)
        rates = Rates(sent=sent, bits=self.settings.bits or kind.bits)
        tail = Tail(self.captured, self.position)
        return Detour(design.encoder, design.decoder, tail, rates, self.captured.classes)

    def _place(self) -> Place:
        cut, request = self.captured.cuts[self.position], self.request
        shape = cut.tensors[0].spec.shape
        return Place(
            name=cut.name,
            # Of a network for pictures a feature with two sides is tokens; of signals, channels over time.
            form=Form(shape=shape, tokens=len(shape) == 2 and self.captured.sample.kind == "image"),
            positive=bool((self.sample >= 0).all()),
            # Before the first operation there is no head to be a tenth of: there it is the whole network.
            allowed=int(SHARE * (cut.macs or self.captured.macs)),
            sample=self.sample,
            channels=request.channels,
            stride=request.stride,
            slopes=self._slopes,
            rank=self._rank,
        )

    def _slopes(self) -> Tensor:
        """Of the likelihood of classes drawn as the network, softened as for distillation, says: their squares are the
        Fisher information, what distillation loses where a value is a little off.
        """
        tail = Tail(self.captured, self.position).eval().requires_grad_(False)
        slopes: list[Tensor] = []
        for some in torch.split(self.sample, _AT_ONCE):
            feature = some.detach().requires_grad_()
            likely_NK = torch.softmax(tail(feature).float() / self.settings.distill_temperature, 1)
            drawn_N1 = torch.multinomial(likely_NK.detach(), 1)
            slopes += torch.autograd.grad(likely_NK.gather(1, drawn_N1).log().sum(), feature)
        return torch.cat(slopes)

    def _rank(self) -> Tensor:
        """[C]"""
        form = self._place().form
        if self.learned is None or self.settings.weights:
            return torch.zeros(form.channels)  # the weights that are read say which channels they are for
        attending = Attending(form)
        tail = Tail(self.captured, self.position).requires_grad_(False)
        self._teach("ranking", nn.Sequential(attending, tail), Answers(self.learned.final, self.settings), _RANKING)
        with torch.no_grad():
            return attending.weights(self.sample).mean(0)

    def _teach(self, step: str, rest: nn.Module, objective: Answers, share: float) -> None:
        assert self.learned is not None
        settings, data = self.learned.settings, self.learned.data
        epochs = max(1, round(share * settings.epochs))
        train(
            Way(self.learned.head, rest),
            data,
            replace(settings, epochs=epochs, batch=min(settings.batch, len(data))),
            objective=objective,
            checkpoint=self.waiting(f"{self.name}-{step}"),
            watch=self.watch,
        )


def _position(captured: Captured, request: BottleneckRequest) -> int:
    position = captured.position(request.cut)
    cut = captured.cuts[position]
    if position in (0, captured.end) or not cut.split:
        inner = [one.name for one in captured.cuts[1:-1] if one.split]
        raise ModelError(
            f"no bottleneck can be at {cut.name}, where no plan splits a feature; take one of {', '.join(inner)}"
        )
    tensors = cut.tensors
    if len(tensors) > 1 or tensors[0].spec.dtype != "float32" or not 1 <= len(tensors[0].spec.shape) <= 3:
        shapes = " and ".join(f"{one.spec.dtype}{list(one.spec.shape)}" for one in tensors)
        raise ModelError(
            f"what crosses at {cut.name} is {shapes}; a bottleneck takes one float32 tensor [C, H, W], [C, L] or [C]"
        )
    return position


def _some_features(captured: Captured, position: int, parts: Parts) -> Tensor:
    """Of samples to train on."""
    nbytes = captured.cuts[position].nbytes
    batches = _batches(parts.train, max(_AT_ONCE, min(_TRIED, _ROOM // nbytes)))
    return torch.cat([found[position][0] for found in features(captured, [position], batches)])


def _batches(data: DataSet, count: int) -> Iterator[Tensor]:
    """Of so many samples, evenly drawn."""
    rows = np.unique(np.linspace(0, len(data) - 1, count).astype(np.int64))
    yield from (torch.from_numpy(batch) for batch in batches_of(data.samples[rows]))


def _ready(detour: Detour, position: int, name: str, settings: BottleneckSettings) -> Bottleneck:
    detour.learn(())
    assert isinstance(detour.tail, Tail)
    return Bottleneck(
        position=position,
        name=name,
        encoder=folded(detour.encoder),
        decoder=folded(detour.decoder),
        tail=detour.tail.graph.eval() if settings.own_tail else None,
    )
