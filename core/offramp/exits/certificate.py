"""The certificate of a bundle: which exit rule keeps which promise, and what that rests on.

It lies in the bundle as `certificate.json`, is no part of the model digest, and is of one model alone.
"""

import json
from dataclasses import dataclass

from offramp.bundle.jsonform import from_json, to_json
from offramp.bundle.shelf import CERTIFICATE as FILE
from offramp.bundle.store import Bundle, write_manifest
from offramp.errors import BundleError
from offramp.exits.losses import Loss
from offramp.exits.risk import Method

SHOWN = 12
"""Digits of a digest that people are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What samples of one half were, and what they were used for."""

    samples: int
    units: int
    """Independent ones; bounds count these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitShare:
    cut: int
    share: float
    """Of all samples, those that leave there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The attachment `certificate.json` of a bundle. It has no date: certified again, it is the same."""

    model_digest: str
    rule: str
    """As a plan writes it behind `exit=`."""
    split: int
    """The first one at which a plan can ask all branches of the rule."""

    loss: str
    epsilon: float
    """At most so much of it, on average over units."""
    delta: float | None
    """Chance that it is more after all; None where the promise is one in expectation."""
    method: str
    bound: float
    """What was compared: a p-value with delta (ltt), an upper bound (wsr) or a corrected mean (crc) with epsilon."""
    mean: float
    """Loss that was seen, on average over units."""

    unit: str
    """What counts as one draw: `sample`, `group`, `block of 50 samples`."""
    certified_on: Seen
    tuned_on: Seen
    """What the path was made from; nothing where it was fixed beforehand."""
    path: str
    """From which rules this is the most lenient one that holds."""
    steps: int
    step: int
    """Which of them, counted from the strictest, 0."""

    exits: tuple[ExitShare, ...]
    operations: float
    """Share of the whole network's operations that an average sample takes, every branch on its way charged."""
    accuracy: float | None
    full_accuracy: float | None
    """Of these samples by this rule, and by the whole network; None where nobody knows the truth."""

    data: str
    data_digest: str
    subset: str
    seed: int
    looked_at: str = ""
    """What else these samples were used for, though they should not have been; empty: nothing."""

    @property
    def leave(self) -> float:
        """Share of the samples that leave early."""
        return sum(there.share for there in self.exits)

    @property
    def promise(self) -> str:
        """For people."""
        how = "on average over draws" if self.delta is None else f"with {100 * (1 - self.delta):g} % confidence"
        return f"{Loss(self.loss).words}: at most {100 * self.epsilon:g} %, {how}"

    @property
    def evidence(self) -> str:
        """For people: what was compared with what."""
        match Method(self.method):
            case Method.LTT:
                assert self.delta is not None
                return f"p = {self.bound:.2g} ≤ {self.delta:g} (learn then test), seen {100 * self.mean:.2f} %"
            case Method.WSR:
                return f"upper bound {100 * self.bound:.2f} % (betting), seen {100 * self.mean:.2f} %"
            case Method.CRC:
                return f"corrected mean {100 * self.bound:.2f} % (conformal), seen {100 * self.mean:.2f} %"

    @property
    def plan(self) -> str:
        """A plan that keeps the promise: nothing is sent, so nothing is lost on the way."""
        return f"split=end, exit={self.rule}"


def write_certificate(bundle: Bundle, certificate: Certificate) -> None:
    """Put it into the bundle, digest included; the one before is replaced."""
    text = json.dumps(to_json(certificate), indent=1, ensure_ascii=False) + "\n"
    (bundle.path / FILE).write_text(text, encoding="utf-8")
    write_manifest(bundle.path, bundle.manifest)


def read_certificate(bundle: Bundle) -> Certificate | None:
    """None where the bundle has none.

    Raises:
        BundleError: It is malformed, or belongs to another model.
    """
    path = bundle.path / FILE
    if not path.is_file():
        return None
    try:
        certificate = from_json(Certificate, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON ({error}); certify the bundle again: offramp bundle certify") from error
    if certificate.model_digest != bundle.manifest.model_digest:
        raise BundleError(
            f"{path} is of another model ({certificate.model_digest[:SHOWN]}…, not "
            f"{bundle.manifest.model_digest[:SHOWN]}…), so it promises nothing here; certify again: "
            f"offramp bundle certify"
        )
    return certificate
