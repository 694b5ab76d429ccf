"""The plan: the only thing that an orchestrator can say to a device.

split=3, exit=confidence:0.85@1/0.9@2, codec=affine8+zstd
│        │          │                  └ how the feature is written at the split
│        │          └ the threshold of each branch that is asked; without @, of every branch up to the split
│        └ the exit policy; `difference:0.1@1+confidence:0.9@2` asks a second one where the first lets nobody leave
└ a cut, by index or by name: the device runs the stages before it; 0 sends the input, `end` sends nothing
"""

from dataclasses import dataclass, replace

from offramp.errors import PlanError
from offramp.records import NO_REVISION, Revision
from offramp.registry import unknown

_HIGHEST = 10_000
"""Threshold of any policy: patience counts samples."""


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
class Plan:
    """Split, exit rule and codec, resolved against one bundle (cuts are indices)."""

    split: int
    exit: ExitRule = NO_EXIT
    codec: str = "none"
    """`none` exactly when nothing is sent."""
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

    def __str__(self) -> str:
        return f"split={self.split}, exit={self.exit}, codec={self.codec}"

    def revised(self, revision: Revision) -> "Plan":
        return replace(self, revision=revision)


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
    codec: str | None = None


_FIELDS = ("split", "exit", "codec")


def parse_plan(text: str) -> PlanText:
    """Read `split=3, exit=confidence:0.85, codec=affine8+zstd`; exit and codec may be left out.

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
    exits = fields.get("exit", "none")
    parts = () if exits == "none" else tuple(_parse_exit(part.strip()) for part in exits.split("+"))
    return PlanText(split=fields["split"], exits=parts, codec=fields.get("codec"))


def _parse_exit(text: str) -> ExitText:
    policy, colon, rest = text.partition(":")
    if not colon or not rest:
        raise PlanError(f"exit={text} has no threshold; write exit={policy or 'confidence'}:0.85, or exit=none")
    if "@" not in rest:
        return ExitText(policy=policy, threshold=_parse_threshold(rest, text))
    pairs = []
    for part in rest.split("/"):
        value, at, cut = part.partition("@")
        if not at or not cut:
            raise PlanError(f"{part!r} in exit={text} names no branch; write threshold@branch, such as 0.9@2")
        pairs.append((cut.strip(), _parse_threshold(value, text)))
    return ExitText(policy=policy, thresholds=tuple(pairs))


def _parse_threshold(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise PlanError(f"{value!r} in exit={text} is not a threshold; give a number, such as 0.9") from None
