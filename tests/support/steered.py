"""A bundle that can be planned with: the tiny one, with candidates."""

from pathlib import Path

from offramp.bundle.store import Bundle, write_manifest
from offramp.plan import NO_EXIT, ExitRule
from offramp.planning.candidates import FILE, Candidates, write_candidates
from tests.support.plans import a_candidate
from tests.support.tiny_bundle import write_tiny_bundle

AT_BOTH = ExitRule(policy="confidence", thresholds=((1, 0.9), (2, 0.9)))
AT_ONE = ExitRule(policy="confidence", thresholds=((1, 0.8),))


def write_plannable_bundle(path: Path, *, seed: int = 0) -> Bundle:
    """With a plan for every link; what they are worth is made up, what they cost is not."""
    bundle = write_tiny_bundle(path, seed=seed)
    candidates = Candidates(
        model_digest=bundle.manifest.model_digest,
        samples=1_000,
        groups=100,
        full_accuracy=0.95,
        candidates=(
            a_candidate(0, codec="png", payload=600.0, accuracy=0.95),
            a_candidate(1, codec="affine8+zstd", payload=1_200.0, accuracy=0.95),
            a_candidate(3, exit=AT_BOTH, codec="affine8+zstd", reach=(1.0, 0.6), offload=0.4, payload=300.0),
            a_candidate(4, exit=AT_ONE, codec="none", reach=(1.0,), offload=0.7, payload=0.0),
            a_candidate(4, exit=NO_EXIT, codec="none", payload=0.0, accuracy=0.95),
        ),
    )
    write_candidates(candidates, bundle.file(FILE))
    return Bundle(path, write_manifest(path, bundle.manifest))
