"""Encoder and decoder of the kinds that learn both, as wide as the operations allow.

    feature ─┬─ patches onto their principal components ─────┬ + ─► code in [0, 1]
             └─ [3x3, stride 2] … ─ 3x3 ─ 1x1, from 0 on ────┘
    code ─┬─ what each component stands for ──────────┬ + ─ patches laid out ─┬──────────────────┬ + ─► feature
          └─ 3x3 ─ 1x1, from 0 on ────────────────────┘                       └─ 3x3, from 0 on ─┘

Both begin as the best linear ones, found from some features without training, so that what follows starts from features
that the tail knows; the other paths learn what is missing. Components come with the largest variance first: the order
in which they are sent.

Where a branch at the cut has convolutions, the encoder's second path begins with them, and the first channels of the
code with what they see; what a code says of it goes the rest of the branch's way, as a voice beside the tail's:

    feature ─┬─ patches onto their principal components ─────┬ + ─► code in [0, 1]
             └─ convolutions of the branch ─ 1x1 ────────────┘
    code ─── 1x1 ─ the rest of the branch ─► logits, added to those of the tail

# M patches, C channels of the code, D values of a patch, N samples, W channels of what a branch sees
"""

import math

import torch
from torch import Tensor, nn

from offramp.errors import ModelError
from offramp_builder.bottlenecks.hint import Hint, slopes
from offramp_builder.bottlenecks.kind import CHANNELS, Design, Place, stride_for
from offramp_builder.bottlenecks.layers import Form, Spread, Sum, macs_of

_WIDTHS = (96, 64, 48, 32, 24, 16, 12, 8, 0)
"""Of the encoder's second path; 0: none."""
_INNER = 64
"""Channels of the decoder where it is small."""
_REACH = 2.5
"""Deviations of a component that fit into a code: what lies farther out reads as its end."""
_MOST = 2_048
"""Values of a patch up to which it is found out what matters among them: of more, in minutes."""
_ALL = 0.1
"""Weight of a direction that does not matter to the answers, beside one that does so on average."""
_SEEN = 4
"""One channel of so many begins with what a branch at the cut sees; the others with the patches."""
_DEEP = 2
"""Convolutions that a branch must have had before it is worth beginning with: one sees too little."""
_LEAST = 1e-4
"""Deviation of a component that hardly moves, as a share of the largest."""


def convolved(place: Place) -> Design:
    """The widest encoder that costs no more than is allowed, and a decoder for it; of fewer channels where nobody says
    how many, and they cost too much.

    Raises:
        ModelError: Even principal components cost more.
    """
    form = place.form
    stride = stride_for(form, place.stride)
    values = form.channels * stride ** len(form.sides)
    channels = place.channels or max(1, min(CHANNELS, values // 2))
    if channels > values:
        raise ModelError(
            f"patches at {place.name} have {values} values: a code of {channels} channels saves nothing; ask for fewer"
        )
    while not place.channels and channels > 1 and _least(form, channels, stride) > place.allowed:
        channels //= 2
    hint = _hint(place, channels, stride)
    if hint is not None:
        return _hinted(place, hint, channels, stride)
    for width in _WIDTHS:
        encoder = _encoder(form, _fresh(form, min(width, 2 * form.channels), channels, stride), channels, stride)
        if macs_of(encoder, form.shape) <= place.allowed:
            break
    else:
        raise ModelError(
            f"an encoder at {place.name} takes at least {_least(form, channels, stride):,} multiply-accumulates, and a "
            f"tenth of what comes before is {place.allowed:,}; take fewer channels, a larger stride, or a later cut"
        )
    _begin(_components(encoder), *(_patches(form, values, stride) for values in (place.sample, place.slopes())))
    return Design(encoder=encoder, decoder=decoder(place, encoder, channels, stride), channels=channels)


def _hint(place: Place, channels: int, stride: int) -> Hint | None:
    """The branch at the cut, where it sees enough and its convolutions are not too dear."""
    hint, halvings = place.hint, stride.bit_length() - 1
    if hint is None or not _DEEP <= halvings <= len(hint.convolutions) or channels < _SEEN:
        return None
    cost = macs_of(_seeing(place.form, hint, channels, stride), place.form.shape)
    return hint if cost <= place.allowed else None


def _seeing(form: Form, hint: Hint, channels: int, stride: int) -> nn.Module:
    """The encoder that begins with a branch's convolutions."""
    halvings = stride.bit_length() - 1
    told = _from_0(form.convolution(hint.width(halvings), channels, 1))
    return _encoder(form, [*hint.first(halvings), told], channels, stride)


def _hinted(place: Place, hint: Hint, channels: int, stride: int) -> Design:
    form, halvings = place.form, stride.bit_length() - 1
    encoder, rest, seen = _seeing(form, hint, channels, stride), hint.rest(halvings), channels // _SEEN
    with torch.no_grad():
        sees = hint.first(halvings).eval()(form.inward()(place.sample))
    said = slopes(rest.eval().requires_grad_(False), sees, temperature=place.temperature)
    told, components = encoder.get_submodule(f"1.paths.1.{halvings}"), _components(encoder)
    _begin(told, _by_place(sees), _by_place(said), stop=seen)
    patches = (_patches(form, values, stride) for values in (place.sample, place.slopes()))
    _begin(components, *patches, start=seen)
    back = form.convolution(channels, sees.shape[1], 1)
    _solve(back, encoder, place.sample, _by_place(sees))
    voice = nn.Sequential(Centred(), back, *rest.requires_grad_(True))
    return Design(encoder=encoder, decoder=decoder(place, encoder, channels, stride), channels=channels, voice=voice)


def decoder(place: Place, encoder: nn.Module, channels: int, stride: int) -> nn.Module:
    """From an encoder's code of so many channels back to the feature; light. It begins as the best linear one."""
    form = place.form
    values = form.channels * stride ** len(form.sides)
    linear = form.convolution(channels, values, 1)
    _solve(linear, encoder, place.sample, _patches(form, place.sample, stride))
    inner = nn.Sequential(*form.normed(channels, _INNER), nn.ReLU(), _from_0(form.convolution(_INNER, values, 1)))
    steps: list[nn.Module] = [Centred(), Sum(linear, inner)]
    if stride > 1:
        steps.append(Spread(form.channels, stride, form.shrunk(stride), form.sides))
    around = _from_0(form.convolution(form.channels, form.channels, 3 if form.shrinks else 1))
    steps.append(Sum(nn.Identity(), nn.Sequential(nn.ReLU(), around)))
    if place.positive:
        steps.append(nn.ReLU())
    return nn.Sequential(*steps, form.outward())


class Centred(nn.Module):
    """A code around 0; a channel that was not sent, and reads 0 everywhere, is 0 here too."""

    def forward(self, code: Tensor) -> Tensor:
        there = code.amax(list(range(2, code.ndim)), keepdim=True) > 0
        return (code - 0.5) * there.to(code.dtype)


class Clamped(nn.Module):
    """Into [0, 1]. Where values are cut off, gradients that would bring them back still pass."""

    def forward(self, value: Tensor) -> Tensor:
        if not self.training:
            return value.clamp(0, 1)
        return value + (value.clamp(0, 1) - value).detach()


def _encoder(form: Form, second: list[nn.Module], channels: int, stride: int) -> nn.Module:
    """`second` are the steps of the second path; none where there is no such path."""
    paths: list[nn.Module] = [
        nn.Sequential(form.padded(stride), form.convolution(form.channels, channels, stride, stride))
    ]
    if second:
        paths.append(nn.Sequential(*second))
    return nn.Sequential(form.inward(), Sum(*paths), Clamped())


def _fresh(form: Form, width: int, channels: int, stride: int) -> list[nn.Module]:
    """The steps of a second path that has learned nothing yet; none of width 0."""
    if not width:
        return []
    steps, now = [], form.channels
    for _ in range(stride.bit_length() - 1):
        steps += [*form.normed(now, width, stride=2), nn.ReLU()]
        now = width
    return [*steps, *form.normed(now, width), nn.ReLU(), _from_0(form.convolution(width, channels, 1))]


def _components(encoder: nn.Module) -> nn.Module:
    """The convolution that is to find them."""
    found: nn.Module = encoder.get_submodule("1.paths.0.1")
    return found


def _begin(
    components: nn.Module, patches_MD: Tensor, slopes_MD: Tensor, *, start: int = 0, stop: int | None = None
) -> None:
    """Channels from `start` to `stop` onto the directions in which patches vary most, in steps that matter to the
    answers, each brought into [0, 1]; the others to nothing.
    """
    weight, bias = components.get_parameter("weight"), components.get_parameter("bias")
    mean_D, weighing_DD = patches_MD.mean(0), _weighing(slopes_MD)
    weighed_MD = (patches_MD - mean_D) @ weighing_DD
    count = len(weight[start:stop])
    _, deviation_C, directions_DC = torch.pca_lowrank(weighed_MD, q=min(count + 8, *patches_MD.shape))
    deviation_C = deviation_C[:count] / max(1, len(patches_MD) - 1) ** 0.5
    directions_DC = weighing_DD @ directions_DC
    scaled_CD = torch.zeros(count, len(mean_D))  # patches may vary in fewer directions than there are channels
    scale_C = 1 / (2 * _REACH * deviation_C.clamp_min(_LEAST * float(deviation_C.max()) + 1e-12))
    scaled_CD[: len(scale_C)] = directions_DC.T[: len(scale_C)] * scale_C[:, None]
    with torch.no_grad():
        weight.zero_()
        bias.zero_()
        weight[start:stop] = scaled_CD.view_as(weight[start:stop])
        bias[start:stop] = 0.5 - scaled_CD @ mean_D


def _weighing(slopes_MD: Tensor) -> Tensor:
    """[D, D] the root of their second moments, so that distances are those that the answers see; and a little of all
    directions, since the tail will learn to see others.
    """
    values = slopes_MD.shape[1]
    if values > _MOST:
        return torch.eye(values)
    moments_DD = slopes_MD.T.double() @ slopes_MD.double() / len(slopes_MD)
    moments_DD = moments_DD / moments_DD.trace().clamp_min(1e-30) * values + _ALL * torch.eye(
        values, dtype=torch.float64
    )
    strength_D, directions_DD = torch.linalg.eigh(moments_DD)
    root_DD: Tensor = (directions_DD * strength_D.clamp_min(0).sqrt() @ directions_DD.T).float()
    return root_DD


def _least(form: Form, channels: int, stride: int) -> int:
    """Multiply-accumulates of principal components alone."""
    return macs_of(_encoder(form, [], channels, stride), form.shape)


def _solve(linear: nn.Module, encoder: nn.Module, sample: Tensor, patches_MD: Tensor) -> None:
    """The least squares from codes to patches."""
    with torch.no_grad():
        code_MC = _by_place(encoder.eval()(sample)) - 0.5
        ones_M1 = torch.ones(len(code_MC), 1)
        known_MX = torch.cat([code_MC, ones_M1], 1).double()
        square_XX = known_MX.T @ known_MX + 1e-6 * len(known_MX) * torch.eye(known_MX.shape[1], dtype=torch.float64)
        found_XD = torch.linalg.solve(square_XX, known_MX.T @ patches_MD.double()).float()
        linear.get_parameter("weight").copy_(found_XD[:-1].T.reshape(linear.get_parameter("weight").shape))
        linear.get_parameter("bias").copy_(found_XD[-1])


def _patches(form: Form, sample: Tensor, stride: int) -> Tensor:
    """[M, D] of some features, sample by sample, place by place; values as the channels of `Spread` have them."""
    with torch.no_grad():
        values = form.padded(stride)(form.inward()(sample))
    sides = len(form.sides)
    small = form.shrunk(stride)
    split = values.reshape(len(values), form.channels, *(size for side in small for size in (side, stride)))
    inside, places = range(3, 3 + 2 * sides, 2), range(2, 2 + 2 * sides, 2)
    patches_MD: Tensor = split.permute(0, *places, 1, *inside).reshape(len(values) * math.prod(small), -1)
    return patches_MD


def _by_place(values: Tensor) -> Tensor:
    """[M, W] of [N, W, *sides]."""
    return values.flatten(2).transpose(1, 2).flatten(0, 1)


def _from_0(convolution: nn.Module) -> nn.Module:
    """A path that says nothing until it has learned something."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution
