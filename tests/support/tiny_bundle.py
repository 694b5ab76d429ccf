"""A real, small bundle, written with onnx alone: for what needs a bundle but no training.

    image 16x16x3 uint8 ─► stem ─► cut 1 ─► block1 ─► cut 2 ─► block2 ─► cut 3 ─► head ─► cut 4, 5 classes
                                     └ branch            └ branch

On request with two bottlenecks: `slim` leads around cut 1 and back to it, `own` around cut 2 and to a tail of its own.

Weights are seeded noise; each classifier is centred and scaled on noise images, so that the classes are all said and
the scores spread over [0, 1].

# N samples, H height, W width, C channels, K classes, S fused scores
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from offramp.bundle.manifest import FORMAT, Manifest, SampleSpec
from offramp.bundle.specs import BottleneckSpec, BranchSpec, CutSpec, DiscoveredCut, SegmentSpec, StageSpec, TensorSpec
from offramp.bundle.store import REFERENCE, WEIGHTS, Bundle, write_manifest
from offramp.bundle.tables import TABLES, CutTables, write_tables
from tests.support.features import probe_of, tables_of

SIDE, CLASSES = 16, 5
LABELS = ("ash", "birch", "cedar", "douglas fir", "elm")
BRANCHES = (1, 2)
TEMPERATURES = {1: 1.5, 2: 1.25, 4: 1.0}
REFERENCES = 8
AROUND = {"slim": 1, "own": 2}
"""The cut that each bottleneck leads around."""
CODES = {
    "slim": TensorSpec(shape=(6, 8, 8), dtype="float32", low=0.0, high=1.0),
    "own": TensorSpec(shape=(6, 4, 4), dtype="float32", low=0.0, high=1.0),
}
_CALIBRATION = 64
_CHANNELS = (3, 8, 8, 12)
"""Channels at cuts 0 to 3."""
_STRIDES = (1, 2, 2)
_END = 4
_OPSET, _IR = 18, 9  # old enough for every onnxruntime that pyproject.toml allows
_ALIGNMENT = 64

Arrays = dict[str, NDArray[np.float32]]


def some_images(count: int, *, seed: int = 1) -> NDArray[np.uint8]:
    """[N, H, W, C]: a colour with a smooth gradient and some noise each, so that image codecs have something to do."""
    rng = np.random.default_rng(seed)
    colour_N11C = rng.uniform(40, 215, (count, 1, 1, 3))
    slope_N2C = rng.uniform(-60, 60, (count, 2, 3))
    ramp_H = np.linspace(-1, 1, SIDE)
    smooth_NHWC = (
        colour_N11C
        + slope_N2C[:, 0, None, None] * ramp_H[None, :, None, None]
        + slope_N2C[:, 1, None, None] * ramp_H[None, None, :, None]
    )
    noisy_NHWC = smooth_NHWC + rng.normal(0, 8, (count, SIDE, SIDE, 3))
    return np.clip(noisy_NHWC, 0, 255).astype(np.uint8)


def write_tiny_bundle(path: Path, *, seed: int = 0, bottlenecks: bool = False) -> Bundle:
    """Write the bundle into `path` (made when absent): every pair of cuts, with and without the branch at its end.

    Another seed is another network: the digests differ.
    """
    weights = _weights(seed) | (_detour_weights(seed) if bottlenecks else {})
    calibration = some_images(_CALIBRATION, seed=seed + 1)
    _fit_classifiers(weights, calibration)
    (path / "graph").mkdir(parents=True, exist_ok=True)
    places = _write_weights(path / WEIGHTS, weights)
    segments = tuple(
        SegmentSpec(start=start, stop=stop, branch=branch, file=f"graph/{start}-{stop}{'b' * branch}.onnx")
        for start in range(_END)
        for stop in range(start + 1, _END + 1)
        for branch in ((False, True) if stop in BRANCHES else (False,))
    )
    detours = tuple(_detours()) if bottlenecks else ()
    for spec in segments + detours:
        graph = _Graph.segment(spec.start, spec.stop, spec.branch, spec.via)
        onnx.save(graph.model(weights, places), path / spec.file)
    samples = some_images(REFERENCES, seed=seed + 2)
    (logits,) = _evaluate(_Graph.segment(0, _END, branch=False), weights, samples, ["logits"])
    np.savez(path / REFERENCE, samples=samples, logits=logits)
    manifest = _manifest(seed, segments, weights, calibration)
    if bottlenecks:
        tables = {via: CutTables(tensors=(tables_of(code),), probe=probe_of(code)) for via, code in CODES.items()}
        write_tables(path / TABLES, tables)
        found = tuple(_bottleneck(via, manifest) for via in AROUND)
        manifest = replace(manifest, bottlenecks=found, segments=segments + detours)
    return Bundle(path, write_manifest(path, manifest))


def _detours() -> Iterable[SegmentSpec]:
    for via, cut in AROUND.items():
        asked = [] if via == "own" else [(cut, later, True) for later in BRANCHES if later > cut]
        for start, stop, branch in [*((start, cut, False) for start in range(cut + 1)), *asked, (cut, _END, False)]:
            file = f"graph/{start}-{stop}{'b' * branch}~{via}.onnx"
            yield SegmentSpec(start=start, stop=stop, branch=branch, file=file, via=via)


def _bottleneck(via: str, manifest: Manifest) -> BottleneckSpec:
    cut = AROUND[via]
    macs = CODES[via].elements * _CHANNELS[cut] * 4
    return BottleneckSpec(
        name=via,
        cut=cut,
        tensor=CODES[via],
        encoder_macs=macs,
        tail_macs=macs + manifest.macs_between(cut, _END),
        own_tail=via == "own",
        codecs=("affine4:3+range", "affine4:3", "affine8"),
    )


def _manifest(
    seed: int, segments: tuple[SegmentSpec, ...], weights: Arrays, calibration: NDArray[np.uint8]
) -> Manifest:
    cuts = tuple(CutSpec(name=name, tensors=(spec,)) for name, spec in _tensors(weights, calibration))
    macs = [*(_conv_macs(stage) for stage in range(3)), _CHANNELS[3] * CLASSES]
    discovered = [DiscoveredCut(name="input", macs=0, nbytes=cuts[0].nbytes, kept=0)]
    for stage, name in enumerate(("stem", "block1", "block2")):
        done, nbytes = sum(macs[: stage + 1]), cuts[stage + 1].nbytes
        discovered.append(DiscoveredCut(name=f"{name}.conv", macs=done, nbytes=nbytes, kept=None))
        discovered.append(DiscoveredCut(name=name, macs=done, nbytes=nbytes, kept=stage + 1))
    discovered.append(DiscoveredCut(name="output", macs=sum(macs), nbytes=cuts[_END].nbytes, kept=_END))
    return Manifest(
        format=FORMAT,
        name="tiny",
        offramp="0.1.0",
        sample=SampleSpec(kind="image", shape=(SIDE, SIDE, 3), dtype="uint8"),
        labels=LABELS,
        cuts=cuts,
        stages=tuple(StageSpec(macs=count) for count in macs),
        branches=tuple(
            BranchSpec(cut=cut, kind="pool-linear", macs=_CHANNELS[cut] * CLASSES, temperature=TEMPERATURES[cut])
            for cut in BRANCHES
        ),
        final_temperature=TEMPERATURES[_END],
        final_accuracy=None,
        segments=segments,
        discovered=tuple(discovered),
        files={},
        model_digest="",
        provenance={"data": "seeded noise", "seed": str(seed)},
    )


def _tensors(weights: Arrays, calibration: NDArray[np.uint8]) -> Iterable[tuple[str, TensorSpec]]:
    yield "input", TensorSpec(shape=(SIDE, SIDE, 3), dtype="uint8")
    for cut, name in enumerate(("stem", "block1", "block2"), start=1):
        (feature,) = _evaluate(_Graph.segment(0, cut, branch=False), weights, calibration, ["feature_0_out"])
        yield name, TensorSpec(shape=feature.shape[1:], dtype="float32", low=0.0, high=float(feature.max()))
    yield "output", TensorSpec(shape=(CLASSES,), dtype="float32")


def _weights(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    weights: Arrays = {}
    for stage, (inputs, outputs) in enumerate(pairwise(_CHANNELS)):
        spread = math.sqrt(2 / (9 * inputs))
        weights[f"conv{stage}.weight"] = rng.normal(0, spread, (outputs, inputs, 3, 3)).astype(np.float32)
        weights[f"conv{stage}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    for cut in (*BRANCHES, _END):
        width = _CHANNELS[min(cut, 3)]
        weights[f"linear{cut}.weight"] = rng.normal(0, 1, (CLASSES, width)).astype(np.float32)
        weights[f"linear{cut}.bias"] = np.zeros(CLASSES, np.float32)
    return weights


def _detour_weights(seed: int) -> Arrays:
    rng = np.random.default_rng(seed + 100)
    weights: Arrays = {}
    for via, cut in AROUND.items():
        shape = (CODES[via].shape[0], _CHANNELS[cut], 2, 2)
        weights[f"{via}.encoder"] = rng.normal(0, 0.6, shape).astype(np.float32)
        weights[f"{via}.decoder"] = rng.normal(0, 0.3, shape).astype(np.float32)
    weights["own.weight"] = rng.normal(0, 0.1, (_CHANNELS[3], _CHANNELS[2], 3, 3)).astype(np.float32)
    return weights


def _fit_classifiers(weights: Arrays, calibration: NDArray[np.uint8]) -> None:
    for cut in (*BRANCHES, _END):
        graph = _Graph.segment(0, cut, branch=cut in BRANCHES)
        (logits_NK,) = _evaluate(graph, weights, calibration, ["logits"])
        scale_K = 2 / logits_NK.std(axis=0)
        weights[f"linear{cut}.weight"] *= scale_K[:, None]
        weights[f"linear{cut}.bias"] = (-logits_NK.mean(axis=0) * scale_K).astype(np.float32)


def _conv_macs(stage: int) -> int:
    side = SIDE // math.prod(_STRIDES[: stage + 1])
    return side * side * _CHANNELS[stage + 1] * _CHANNELS[stage] * 9


@dataclass(slots=True)
class _Graph:
    """Nodes of one segment, and the names of the weights that they use."""

    start: int
    stop: int
    via: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @classmethod
    def segment(cls, start: int, stop: int, branch: bool, via: str = "") -> "_Graph":
        graph = cls(start, stop, via)
        last = "feature_0"
        begins = bool(via) and stop > AROUND[via]
        if begins:
            graph._add("ConvTranspose", [last, graph._weight(f"{via}.decoder")], "wide", strides=[2, 2])
            last = graph._add("Relu", ["wide"], "decoded")
        for stage in range(start, min(stop, 3)):
            last = graph._convolution(stage, last, "own.weight" if via == "own" and begins else "")
        if via and not begins:
            graph._add("Conv", [last, graph._weight(f"{via}.encoder")], "narrow", strides=[2, 2])
            last = graph._add("Sigmoid", ["narrow"], "code")
        if stop < _END:
            graph._add("Identity", [last], "feature_0_out")
            graph.outputs.append("feature_0_out")
        if branch or stop == _END:
            graph._classify(stop, last)
            graph.outputs += ["logits", "scores"]
        return graph

    def _convolution(self, stage: int, source: str, other: str = "") -> str:
        if stage == 0:
            self._add("Cast", [source], "floats", to=TensorProto.FLOAT)
            self._add("Mul", ["floats", self._constant("scale", np.float32(1 / 255))], "unit")
            source = self._add("Transpose", ["unit"], "planes", perm=[0, 3, 1, 2])
        weight, bias = self._weight(other or f"conv{stage}.weight"), self._weight(f"conv{stage}.bias")
        stride = _STRIDES[stage]
        self._add("Conv", [source, weight, bias], f"conv{stage}", strides=[stride, stride], pads=[1, 1, 1, 1])
        return self._add("Relu", [f"conv{stage}"], f"relu{stage}")

    def _classify(self, cut: int, source: str) -> None:
        self._add("GlobalAveragePool", [source], "pooled")
        self._add("Flatten", ["pooled"], "flat")
        weight, bias = self._weight(f"linear{cut}.weight"), self._weight(f"linear{cut}.bias")
        self._add("Gemm", ["flat", weight, bias], "logits", transB=1)
        self._add("Mul", ["logits", self._constant("cool", np.float32(1 / TEMPERATURES[cut]))], "calibrated")
        self._add("Softmax", ["calibrated"], "p", axis=1)
        self._add("LogSoftmax", ["calibrated"], "log_p", axis=1)
        self._add("Mul", ["p", "log_p"], "p_log_p")
        axes = self._constant("axes", np.array([1], np.int64))
        self._add("ReduceSum", ["p_log_p", axes], "negative_entropy", keepdims=1)
        self._add("Mul", ["negative_entropy", self._constant("norm", np.float32(-1 / math.log(CLASSES)))], "entropy")
        self.nodes.append(
            helper.make_node("TopK", ["p", self._constant("two", np.array([2], np.int64))], ["top", "top_at"], axis=1)
        )
        self.nodes.append(helper.make_node("Split", ["top"], ["first", "second"], axis=1, num_outputs=2))
        self._add("Sub", ["first", "second"], "margin")
        self._add("Concat", ["first", "entropy", "margin", "first"], "scores", axis=1)

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        self.used.append(name)
        return name

    def _constant(self, name: str, value: np.generic | NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(self, weights: Arrays, places: Mapping[str, tuple[int, int]] | None) -> onnx.ModelProto:
        """With the weights inside, or where `places` says in the shared file (offset, length)."""
        initializers = [
            numpy_helper.from_array(weights[name], name) if places is None else _external(name, weights, places)
            for name in self.used
        ]
        graph = helper.make_graph(
            self.nodes,
            f"{self.start}-{self.stop}",
            [_value("feature_0", self.start, self.via if self.stop > AROUND.get(self.via, _END) else "")],
            [_value(name, self.stop, self.via if self.stop == AROUND.get(self.via) else "") for name in self.outputs],
            [*initializers, *self.constants],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        if places is None:
            onnx.checker.check_model(model)
        return model


def _value(name: str, cut: int, via: str = "") -> onnx.ValueInfoProto:
    if via:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *CODES[via].shape])
    if name == "logits":
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", CLASSES])
    if name == "scores":
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])
    if cut == 0:
        return helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", SIDE, SIDE, 3])
    side = SIDE // math.prod(_STRIDES[:cut])
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", _CHANNELS[cut], side, side])


def _external(name: str, weights: Arrays, places: Mapping[str, tuple[int, int]]) -> onnx.TensorProto:
    offset, length = places[name]
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=weights[name].shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", Path(WEIGHTS).name), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _write_weights(path: Path, weights: Arrays) -> dict[str, tuple[int, int]]:
    places = {}
    with path.open("wb") as file:
        for name, array in weights.items():
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            places[name] = (file.tell(), array.nbytes)
            file.write(array.astype("<f4").tobytes())
    return places


def _evaluate(graph: _Graph, weights: Arrays, samples: NDArray[Any], outputs: list[str]) -> list[NDArray[np.float32]]:
    # onnx's own evaluator and not onnxruntime: an independent reference, and no session before a test sets threads.
    found: list[NDArray[np.float32]] = ReferenceEvaluator(graph.model(weights, None)).run(
        outputs, {"feature_0": samples}
    )
    return found
