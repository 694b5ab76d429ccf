"""What a bundle says about the calibration part of its data: the evidence that certificates rest on.

    bundle, data ─► dealt out as at the build ─► calibration part ─► the device's runtime ─► Evidence

# N samples
"""

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.data import DataSet, Part, Parts, Request, load, split
from offramp.data.labels import relabelled
from offramp.errors import DataError
from offramp.exits.evidence import Evidence, Origin, numbered
from offramp.measure.listen import Listener, Progress
from offramp.runtime.runtime import Runtime
from offramp.tape.header import FINAL, branch_voice

CALIBRATION = "calibration"
FITTED = "temperatures_fitted_on"
"""In a bundle's provenance: how many calibration samples temperatures were fitted to, none of the held-out ones."""
LIMIT = "limit"
"""In a bundle's provenance: what the build limited its data to, before it dealt them out."""


def calibration_part(manifest: Manifest, spec: str, *, limit: int | None = None) -> DataSet:
    """The samples that the build of this bundle calibrated with; `limit` is the build's, for bundles that do not say.

    Raises:
        DataError: They are not what the bundle takes, or were dealt out otherwise at the build.
    """
    seed = seed_of(manifest)
    given = manifest.provenance.get(LIMIT)
    request = Request(shape=manifest.sample.shape, limit=limit or (int(given) if given else None), seed=seed)
    data = load(spec, request)
    if data.sample.dtype != manifest.sample.dtype:
        raise DataError(
            f"{spec} has samples of {data.sample.dtype}, the bundle {manifest.name!r} takes {manifest.sample.dtype}; "
            f"give data such as it was built from"
        )
    parts = split(relabelled(data, manifest.labels), seed=seed)
    _refuse_another_deal(manifest, data, parts)
    return parts.calibration


def listen(
    bundle: Bundle, runtime: Runtime, part: DataSet, progress: Progress = lambda _done, _total: None
) -> Evidence:
    """Run samples through the whole network and every branch."""
    listener = Listener(bundle, runtime, {})
    heard = listener.hear(part.samples, progress)
    return Evidence(
        origin=Origin(
            data=part.name, digest=part.digest, subset=CALIBRATION, seed=seed_of(bundle.manifest), whole=True
        ),
        logits={cut: heard.logits[branch_voice(cut)] for cut in listener.branches},
        scores={cut: heard.scores[branch_voice(cut)] for cut in listener.branches},
        final_NK=heard.logits[FINAL],
        truth_N=part.truth_N,
        group_N=part.group_N,
        stream_N=np.zeros(len(part), np.int64) if part.stream_N is None else numbered(part.stream_N),
    )


def looked_at(manifest: Manifest, origin: Origin) -> str:
    """What else the samples that are held out for certificates were used for, for people; empty: for nothing."""
    if origin.subset != CALIBRATION:
        return "the network was trained on them" if origin.subset == "train" else ""
    there = manifest.provenance
    if "data_sha256" not in there:
        return "the bundle does not say what it was trained on"
    if origin.whole and there["data_sha256"] != origin.digest:
        return "the bundle was built from other data, so that nobody knows whether training saw these"
    if FITTED not in there:
        return "temperatures were fitted to them too"
    return ""


def seed_of(manifest: Manifest) -> int:
    """With which the bundle's data were dealt out."""
    return int(manifest.provenance.get("seed", "0"))


def _refuse_another_deal(manifest: Manifest, data: DataSet, parts: Parts) -> None:
    there = manifest.provenance
    same = there.get("data_sha256") == data.digest
    published = bool((data.part_N == Part.CALIBRATION).any())  # then a limit moves no sample from part to part
    if same and not published and there.get("split", parts.sizes()) != parts.sizes():
        raise DataError(
            f"{data.name} was dealt out otherwise at the build ({there['split']}, now {parts.sizes()}), so training "
            f"may have seen what is the calibration part now; give the --limit of the build"
        )
