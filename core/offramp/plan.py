"""The plan: the only thing that an orchestrator can say to a device.

split=3, exit=confidence:0.85@1/0.9@2, codec=affine8+zstd
│        │          │                  └ how the feature is written at the split; `slim/affine4:8`: via a bottleneck
│        │          └ the threshold of each branch that is asked; without @, of every branch up to the split
│        └ the exit policy; `difference:0.1@1+confidence:0.9@2` asks a second one where the first lets nobody leave
└ a cut, by index or by name: the device runs the stages before it; 0 sends the input, `end` sends nothing

What else it may ask of the edge:

tail=confidence:0.9@5     the same for branches past the split: who is sure there spares the rest of the tail
queue=8                   but only while so many requests wait there, the ones being run included
mask=on                   the classes that the device has excluded travel too, and are no answer of the edge

And of the device:

head=int8                 its stages and branches run in another form of theirs, where the bundle has one

And of each sample that is sent:

unsure=0.6:affine8+zstd   whom the last branch asked is less sure of than that is written with this codec instead
"""

from dataclasses import dataclass, replace

from offramp.errors import PlanError
from offramp.records import NO_REVISION, Revision
from offramp.registry import unknown

_HIGHEST = 10_000
"""Threshold of any policy: patience counts samples."""
_DIGITS = 4
"""Of a cut's index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRule:
    """An exit policy with a threshold for each branch that it asks.

    What a threshold means, and its range, is its policy's affair: those of fused scores lie in [0, 1].
    """

    policy: str
    thresholds: tuple[tuple[int, float], ...]
    """(cut of the branch, threshold), in the order in which a sample meets them."""
    over: "ExitRule | None" = None
    """Asked about those whom this one lets stay: a temporal policy stands over an instance policy."""

    def __post_init__(self) -> None:
        cuts = [cut for cut, _ in self.thresholds]
        if cuts != sorted(set(cuts)):
            raise PlanError(f"the exits of a plan are met in order, each once; got branches {cuts}")
        for cut, threshold in self.thresholds:
            if not 0.0 <= threshold <= _HIGHEST:
                raise PlanError(
                    f"threshold {threshold} of branch {cut} is out of range; give one between 0 and {_HIGHEST:,}"
                )
        if self.over is not None and not (self.thresholds and self.over.thresholds):
            raise PlanError(f"{self.policy or 'none'} over {self.over.policy}: both of them need thresholds")

    @property
    def parts(self) -> "tuple[ExitRule, ...]":
        """The rule itself, and those that it stands over."""
        return (self,) if self.over is None else (self, *self.over.parts)

    @property
    def asked(self) -> tuple[int, ...]:
        """Cuts of all branches that are asked, in the order in which a sample meets them."""
        if self.over is None:
            return tuple([cut for cut, _ in self.thresholds])
        return tuple(sorted({cut for rule in self.parts for cut, _ in rule.thresholds}))

    def __str__(self) -> str:
        if not self.thresholds:
            return "none"
        own = f"{self.policy}:" + "/".join(f"{_exactly(threshold)}@{cut}" for cut, threshold in self.thresholds)
        return own if self.over is None else f"{own}+{self.over}"


def _exactly(threshold: float) -> str:
    """As short as reads back to the same number: plans travel as text between local programs."""
    short = f"{threshold:g}"
    return short if float(short) == threshold else repr(threshold)


NO_EXIT = ExitRule(policy="none", thresholds=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """How samples are written that the last branch asked is not sure of: they deserve more bytes, or fewer."""

    below: float
    """Calibrated confidence, in (0, 1], that a sample has to reach to be written as the others."""
    codec: str

    def __post_init__(self) -> None:
        if not 0.0 < self.below <= 1.0:
            raise PlanError(f"unsure={self}: a confidence lies between 0 and 1, and none is below 0; write 0.6, say")

    def __str__(self) -> str:
        return f"{_exactly(self.below)}:{self.codec}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Split, exit rule and codec, resolved against one bundle (cuts are indices)."""

    split: int
    exit: ExitRule = NO_EXIT
    codec: str = "none"
    """`none` exactly when nothing is sent."""
    unsure: Unsure | None = None
    """Another codec for samples that the last branch asked is not sure of."""
    tail: ExitRule = NO_EXIT
    """Exits at the edge: of the branches past the split."""
    queue: int = 0
    """Requests that have to wait at the edge, the ones being run included, for `tail` to apply; 0 and 1: always."""
    mask: bool = False
    """Send which classes the exit policy has not excluded: the edge answers one of them."""
    head: str = ""
    """In which form the device runs its stages and branches; empty: the bundle's own."""
    revision: Revision = NO_REVISION

    def __post_init__(self) -> None:
        if self.split < 0:
            raise PlanError(f"split {self.split} lies before the input; the first is 0, which sends the input itself")
        for cut in self.exit.asked:
            if cut > self.split:
                raise PlanError(
                    f"branch {cut} is past split {self.split} and would never be reached; "
                    f"drop its threshold or split at {cut}"
                )
        for cut in self.tail.asked:
            if cut <= self.split:
                raise PlanError(
                    f"branch {cut} lies at or before split {self.split}, where the device is asked and not the edge; "
                    f"write exit= instead of tail=, or split before {cut}"
                )
        if not 0 <= self.queue <= _HIGHEST:
            raise PlanError(f"queue={self.queue} is no number of waiting requests; give one from 0 to {_HIGHEST:,}")
        if self.queue and not self.tail.thresholds:
            raise PlanError(
                f"queue={self.queue} says when the exits at the edge apply, and there are none; "
                "add tail=, such as tail=confidence:0.9"
            )
        if self.mask and not self.exit.thresholds:
            raise PlanError("mask=on sends what an exit policy has excluded, and there is none; add exit=, or drop it")
        if self.head and self.split == 0:
            raise PlanError(f"head={self.head} at split 0, where the device runs no stage; split later, or drop it")
        if self.unsure is not None and not self.exit.thresholds:
            raise PlanError(
                f"unsure={self.unsure} looks at how sure the last branch asked is, and none is; add exit=, such as "
                "exit=confidence:0.9, or drop it"
            )
        if self.unsure is not None and self.codec in ("none", self.unsure.codec):
            raise PlanError(f"unsure={self.unsure} beside codec={self.codec} changes nothing; drop it")

    def __str__(self) -> str:
        head = f", head={self.head}" * bool(self.head)
        asked = f", tail={self.tail}" * bool(self.tail.thresholds) + f", queue={self.queue}" * bool(self.queue)
        unsure = "" if self.unsure is None else f", unsure={self.unsure}"
        return f"split={self.split}, exit={self.exit}{asked}{', mask=on' * self.mask}{head}, codec={self.codec}{unsure}"

    @property
    def via(self) -> str:
        """The bottleneck that its codec names; empty where the feature itself crosses."""
        return via_of(self.codec)

    @property
    def when_unsure(self) -> "Plan":
        """The plan of samples that the last branch asked is not sure of."""
        return self if self.unsure is None else replace(self, codec=self.unsure.codec, unsure=None)

    def revised(self, revision: Revision) -> "Plan":
        return replace(self, revision=revision)


def via_of(codec: str) -> str:
    """The bottleneck whose code a codec writes: `slim` of `slim/affine4:8+range`; empty of a feature's codec."""
    name, slash, _ = codec.partition("/")
    return name if slash else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitText:
    """One policy of an exit rule as a person wrote it."""

    policy: str
    threshold: float | None = None
    """For every branch up to the split, when no branch is named."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """(branch cut by index or name, threshold)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanText:
    """A plan as a person wrote it, before it is resolved against a bundle."""

    split: str
    exits: tuple[ExitText, ...] = ()
    """Each stands over the next; empty: nobody leaves."""
    tails: tuple[ExitText, ...] = ()
    """The same, at the edge."""
    queue: int = 0
    mask: bool = False
    head: str = ""
    codec: str | None = None
    unsure: Unsure | None = None


_FIELDS = ("split", "exit", "tail", "queue", "mask", "head", "codec", "unsure")
_SWITCH = {"on": True, "off": False}


def parse_plan(text: str) -> PlanText:
    """Read `split=3, exit=confidence:0.85, codec=affine8+zstd`; all but the split may be left out.

    Raises:
        PlanError: A field is unknown, missing, repeated or malformed; the message says which.
    """
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not value:
            raise PlanError(f"{part!r} is not a field of a plan; write name=value, such as split=3")
        if name not in _FIELDS:
            raise PlanError(unknown("plan field", name, list(_FIELDS)))
        if name in fields:
            raise PlanError(f"the plan gives {name} twice: {fields[name]!r} and {value!r}; keep one")
        fields[name] = value
    if "split" not in fields:
        raise PlanError(f"the plan {text!r} has no split; add split=0 to send the input, or split=end to send nothing")
    queue, mask = fields.get("queue", "0"), fields.get("mask", "off")
    if not queue.isdecimal() or len(queue) > len(str(_HIGHEST)):
        raise PlanError(f"queue={queue} is no number of waiting requests; write a whole one, such as queue=8")
    if mask not in _SWITCH:
        raise PlanError(f"mask={mask} is neither on nor off")
    return PlanText(
        split=fields["split"],
        exits=_parse_exits("exit", fields.get("exit", NO_EXIT.policy)),
        tails=_parse_exits("tail", fields.get("tail", NO_EXIT.policy)),
        queue=int(queue),
        mask=_SWITCH[mask],
        head=fields.get("head", ""),
        codec=fields.get("codec"),
        unsure=_parse_unsure(fields["unsure"]) if "unsure" in fields else None,
    )


def _parse_unsure(text: str) -> Unsure:
    below, colon, codec = text.partition(":")
    if not colon or not codec:
        raise PlanError(f"unsure={text} names no codec; write unsure=0.6:affine8+zstd, say")
    return Unsure(below=_parse_threshold(below, f"unsure={text}"), codec=codec)


def parse_rule(text: str) -> ExitRule:
    """Read what `str` writes of a rule: every branch by the index of its cut, each with its threshold.

    Raises:
        PlanError: It is malformed, or no rule; the message says why.
    """
    rule: ExitRule | None = None
    for part in reversed(_parse_exits("exit", text)):
        if not part.thresholds or not all(cut.isdecimal() and len(cut) <= _DIGITS for cut, _ in part.thresholds):
            raise PlanError(f"the rule {text!r} names no branches by their cuts; write threshold@cut, such as 0.9@2")
        thresholds = tuple((int(cut), threshold) for cut, threshold in part.thresholds)
        rule = ExitRule(policy=part.policy, thresholds=thresholds, over=rule)
    return rule or NO_EXIT


def _parse_exits(field: str, text: str) -> tuple[ExitText, ...]:
    return () if text == NO_EXIT.policy else tuple(_parse_exit(field, part.strip()) for part in text.split("+"))


def _parse_exit(field: str, text: str) -> ExitText:
    policy, colon, rest = text.partition(":")
    if not colon or not rest:
        raise PlanError(
            f"{field}={text} has no threshold; write {field}={policy or 'confidence'}:0.85, or {field}=none"
        )
    if "@" not in rest:
        return ExitText(policy=policy, threshold=_parse_threshold(rest, f"{field}={text}"))
    pairs = []
    for part in rest.split("/"):
        value, at, cut = part.partition("@")
        if not at or not cut:
            raise PlanError(f"{part!r} in {field}={text} names no branch; write threshold@branch, such as 0.9@2")
        pairs.append((cut.strip(), _parse_threshold(value, f"{field}={text}")))
    return ExitText(policy=policy, thresholds=tuple(pairs))


def _parse_threshold(value: str, where: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise PlanError(f"{value!r} in {where} is not a threshold; give a number, such as 0.9") from None
