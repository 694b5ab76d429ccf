"""Where one bottleneck is taught: designed at its cut, then step by step.

    features where it leaves the network ─► stages of its own, if any ─► encoder, designed for its cut ─► …

# N samples, C channels
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from offramp.data import DataSet, Parts
from offramp.errors import ModelError
from offramp_builder.bottlenecks.around import Around
from offramp_builder.bottlenecks.attention import Attending
from offramp_builder.bottlenecks.catalog import BOTTLENECK_KINDS
from offramp_builder.bottlenecks.detour import Detour, Stages, Still, Way
from offramp_builder.bottlenecks.hint import Hint, slopes
from offramp_builder.bottlenecks.kind import SHARE, Place
from offramp_builder.bottlenecks.layers import Fork, Form, Heeding
from offramp_builder.bottlenecks.lessons import Lessons
from offramp_builder.bottlenecks.quantise import Histogram, Rates, chosen_sizes
from offramp_builder.bottlenecks.settings import BottleneckRequest, BottleneckSettings
from offramp_builder.bottlenecks.taught import Answers, Taught
from offramp_builder.capture import Captured
from offramp_builder.features import features
from offramp_builder.training.trainer import batches_of, train
from offramp_builder.training.watch import Watch

_RANKING = 0.2
"""Share of the epochs that ranks channels, on top of a kind's steps."""
_TRIED, _ROOM = 1_000, 1 << 28
"""Samples whose features a bottleneck begins with, and bytes of these at most: 256 MiB."""
_AT_ONCE = 64
"""Samples, at least, that a bottleneck begins with."""

Waiting = Callable[[str], Path | None]
"""Where the checkpoint of this step lies; None: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class School:
    """Of one bottleneck."""

    captured: Captured
    around: Around
    name: str
    request: BottleneckRequest
    settings: BottleneckSettings
    sample: Tensor
    """Some features at the cut, of the unchanged network."""
    branch: nn.Module | None = None
    """At the cut, if it has learned; None: nobody there may give a hint."""
    learned: Lessons | None = None
    """Where it leaves the network; None: nothing is taught here."""
    waiting: Waiting = lambda _step: None
    watch: Watch | None = None

    def teach(self, detour: Detour) -> None:
        """Step by step."""
        assert self.learned is not None
        kind = BOTTLENECK_KINDS[self.request.kind]
        prior = Histogram(detour.rates.sent[-1], max(detour.rates.bits))
        leaves, cut = self.around.leaves, self.around.cut
        unchanged = Still(self.captured, leaves, cut) if self.around.own_stages else None
        for step in kind.steps():
            detour.learn([part for part in step.learn if part != "tail" or self.settings.own_tail])
            detour.answers = step.answers
            objective = Taught(detour, self.learned.final, self.settings, step, prior, unchanged)
            self._teach(step.name, detour, objective, step.share)

    def opened(self, state: dict[str, Any]) -> Detour:
        """With the weights of one that was trained before.

        Raises:
            ModelError: It was another one.
        """
        detour, given = self.designed(), state.get(self.name, {})
        mine = detour.state_dict()
        wrong = [key for key in {**mine, **given} if not _alike(mine.get(key), given.get(key))]
        if wrong:
            raise ModelError(
                f"{self.settings.weights} does not fit the bottleneck {self.name}: {len(wrong)} of {len(mine)} weights "
                f"are missing, unknown or of another shape, such as {wrong[0]}; ask for the bottleneck that it was "
                f"trained as, beside the same branches, or with from_branch = false in [bottleneck]"
            )
        detour.load_state_dict(given)
        return detour

    def designed(self) -> Detour:
        """Untrained."""
        torch.manual_seed(self.settings.seed)
        kind = BOTTLENECK_KINDS[self.request.kind]
        design = kind.design(self._place())
        sent = chosen_sizes(design.channels, self.settings.sent) if kind.nested else (design.channels,)
        rates = Rates(sent=sent, bits=self.settings.bits or kind.bits)
        encoder = design.encoder
        if self.around.own_stages:
            encoder = nn.Sequential(Stages(self.captured, self.around.leaves, self.around.cut), encoder)
        decoder, tail = design.decoder, self._tail()
        if design.voice is not None and self.settings.own_tail:
            return Detour(encoder, Fork(decoder, design.voice), Heeding(tail), rates, self.captured.classes)
        return Detour(encoder, decoder, tail, rates, self.captured.classes)

    def _tail(self) -> Stages:
        return Stages(self.captured, self.around.cut, self.captured.end)

    def _place(self) -> Place:
        cut, request = self.captured.cuts[self.around.cut], self.request
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
            hint=Hint.of(self.branch) if self.branch is not None and self.settings.from_branch else None,
            temperature=self.settings.distill_temperature,
        )

    def _slopes(self) -> Tensor:
        """Of what the unchanged network says."""
        tail = self._tail().eval().requires_grad_(False)
        return slopes(tail, self.sample, temperature=self.settings.distill_temperature)

    def _rank(self) -> Tensor:
        """[C]"""
        form = self._place().form
        if self.learned is None or self.settings.weights:
            return torch.zeros(form.channels)  # the weights that are read say which channels they are for
        attending = Attending(form)
        tail = self._tail().requires_grad_(False)
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


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and one.shape == other.shape


def some_features(captured: Captured, position: int, parts: Parts) -> Tensor:
    """Of samples to train on."""
    nbytes = captured.cuts[position].nbytes
    batches = spread_batches(parts.train, max(_AT_ONCE, min(_TRIED, _ROOM // nbytes)))
    return torch.cat([found[position][0] for found in features(captured, [position], batches)])


def spread_batches(data: DataSet, count: int) -> Iterator[Tensor]:
    """Of so many samples, evenly drawn."""
    rows = np.unique(np.linspace(0, len(data) - 1, count).astype(np.int64))
    yield from (torch.from_numpy(batch) for batch in batches_of(data.samples[rows]))
