"""A manifest without files: for what decides from the manifest alone."""

from offramp.bundle.manifest import FORMAT, Manifest, SampleSpec
from offramp.bundle.specs import BranchSpec, CutSpec, DiscoveredCut, SegmentSpec, StageSpec, TensorSpec


def a_manifest(stages: int = 4, *, branches: tuple[int, ...] = (1, 2), classes: int = 5) -> Manifest:
    """A network of `stages` stages on 16x16 colour images, with a branch at each cut of `branches`."""
    image = TensorSpec(shape=(16, 16, 3), dtype="uint8")
    feature = TensorSpec(shape=(8, 8, 8), dtype="float32", low=0.0, high=6.0)
    logits = TensorSpec(shape=(classes,), dtype="float32")
    names = ["input", *(f"block{number}" for number in range(1, stages)), "output"]
    cuts = tuple(
        CutSpec(name=name, tensors=(image if index == 0 else logits if index == stages else feature,))
        for index, name in enumerate(names)
    )
    segments = tuple(
        SegmentSpec(start=start, stop=stop, branch=branch, file=f"graph/{start}-{stop}{'b' * branch}.onnx")
        for start in range(stages)
        for stop in range(start + 1, stages + 1)
        for branch in ((False, True) if stop in branches else (False,))
    )
    return Manifest(
        format=FORMAT,
        name="a test network",
        offramp="0",
        sample=SampleSpec(kind="image", shape=(16, 16, 3), dtype="uint8"),
        labels=tuple(f"class {index}" for index in range(classes)),
        cuts=cuts,
        stages=(StageSpec(macs=1000),) * stages,
        branches=tuple(BranchSpec(cut=cut, kind="linear", macs=10, temperature=1.0) for cut in branches),
        final_temperature=1.0,
        final_accuracy=None,
        segments=segments,
        discovered=tuple(
            DiscoveredCut(name=name, macs=1000 * index, nbytes=cut.nbytes, kept=index)
            for index, (name, cut) in enumerate(zip(names, cuts, strict=True))
        ),
        files={},
        model_digest="d" * 64,
    )
