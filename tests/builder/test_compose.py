"""Chaining fragments into a graph, and the weights that graphs share."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import helper, numpy_helper

from offramp.bundle.specs import CutSpec, TensorSpec
from offramp_builder.compose import compose
from offramp_builder.export import Fragment
from offramp_builder.weights import WeightFile


def a_fragment(name: str, *nodes: onnx.NodeProto) -> Fragment:
    return Fragment(inputs=(f"{name}_in_0",), outputs=(f"{name}_out_0",), nodes=nodes, weights={})


def a_cut(name: str) -> CutSpec:
    return CutSpec(name=name, tensors=(TensorSpec(shape=(3,), dtype="float32"),))


def composed(*stages: Fragment) -> onnx.GraphProto:
    return compose(
        name="a test",
        start=a_cut("a"),
        stop=a_cut("b"),
        stages=stages,
        answer=None,
        last=False,
        classes=2,
        weights=WeightFile("weights.bin"),
    ).graph


def test_a_stage_reads_what_the_one_before_wrote() -> None:
    graph = composed(
        a_fragment("x", helper.make_node("Relu", ["x_in_0"], ["x_out_0"])),
        a_fragment("y", helper.make_node("Exp", ["y_in_0"], ["y_out_0"])),
    )
    assert [(*node.input, *node.output) for node in graph.node] == [
        ("feature_0", "x_out_0"),
        ("x_out_0", "feature_0_out"),
    ]


def test_the_body_of_a_condition_reads_the_renamed_values_too() -> None:
    bodies = [
        helper.make_graph(
            [helper.make_node(kind, ["x_in_0"], ["inner"])], kind, [], [onnx.ValueInfoProto(name="inner")]
        )
        for kind in ("Relu", "Exp")
    ]
    condition = helper.make_node("If", ["flag"], ["x_out_0"], then_branch=bodies[0], else_branch=bodies[1])
    graph = composed(a_fragment("x", condition))
    assert {tuple(attribute.g.node[0].input) for attribute in graph.node[0].attribute} == {("feature_0",)}


def test_composing_leaves_the_fragment_as_it_was() -> None:
    fragment = a_fragment("x", helper.make_node("Relu", ["x_in_0"], ["x_out_0"]))
    composed(fragment)
    assert list(fragment.nodes[0].input) == ["x_in_0"]


@pytest.mark.parametrize("shape", [(), (1,), (64, 3), (40,)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_weight_comes_back_as_it_was(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    weights = WeightFile("weights.bin")
    proto = weights.place("w", onnx_ir.Tensor(values))
    weights.write(tmp_path)
    found = numpy_helper.to_array(proto, base_dir=str(tmp_path))
    assert (found.dtype, found.shape) == (values.dtype, shape)
    assert np.array_equal(found, values)


def test_equal_weights_of_different_names_are_written_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((100, 7), np.float32)
    weights = WeightFile("weights.bin")
    for name in ("a", "b", "a"):
        weights.place(name, onnx_ir.Tensor(values.copy()))
    weights.write(tmp_path)
    assert (tmp_path / "weights.bin").stat().st_size == values.nbytes
