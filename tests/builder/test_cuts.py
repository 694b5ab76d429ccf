"""Where networks can be divided."""

import operator

import pytest
import torch
from torch import Tensor, nn

from offramp_builder.capture import Captured, capture
from offramp_builder.features import features, run_to
from offramp_builder.graphs import piece
from offramp_builder.preprocess import preprocessor
from tests.builder.building import Capturing
from tests.support.models import IMAGE, NETWORKS, Case, Classifier, Residual, conv


def names(network: Captured) -> list[str]:
    return [cut.name for cut in network.cuts]


def cut_image_network(module: nn.Module) -> Captured:
    return capture(module.eval(), IMAGE, preprocessor(IMAGE))


@pytest.mark.parametrize(("name", "least"), [("zoo:resnet20", 8), ("zoo:mobilenet_v2", 16)])
def test_known_networks_have_at_least_so_many_cuts(captured: Capturing, name: str, least: int) -> None:
    assert len(captured(name).cuts) >= least


def splits(network: Captured) -> list[str]:
    return [cut.name for cut in network.cuts if cut.split]


def test_a_residual_network_is_split_between_its_blocks_and_never_across_a_shortcut(captured: Capturing) -> None:
    assert splits(captured("residual")) == [
        *("input", "preprocess", "stem.0", "stem.1", "stem"),
        *("blocks.0.add", "blocks.0", "blocks.1.add", "blocks"),
        *("head.pool", "head.reshape", "output"),
    ]


def test_parallel_paths_are_split_only_where_they_meet(captured: Capturing) -> None:
    assert [name for name in splits(captured("inception")) if name.startswith(("first", "second"))] == [
        "first",
        "second",
    ]


def test_the_calls_of_a_reused_module_have_names_of_their_own(captured: Capturing) -> None:
    assert [name for name in names(captured("reuse")) if name.startswith("body")] == ["body", "body~2", "body~3"]


@pytest.mark.parametrize("name", NETWORKS)
def test_names_are_unique_and_none_reads_as_an_index_or_breaks_a_plan(captured: Capturing, name: str) -> None:
    found = names(captured(name))
    assert len(set(found)) == len(found)
    assert not any(name.isdigit() or set(name) & set(",=/@: ") for name in found)


def test_modules_named_like_words_of_a_plan_do_not_shadow_them() -> None:
    class Shadowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input, self.end, self.output = conv(3, 4), conv(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.output(self.end(self.input(x)).mean((2, 3)))

    found = names(cut_image_network(Shadowing()))
    assert (found[0], found[-1]) == ("input", "output")
    assert {"input~2", "end~2"} <= set(found)


def test_a_tensor_with_one_column_for_each_sample_of_the_batch_is_no_cut() -> None:
    class Squares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = conv(3, 4), nn.Linear(1, 2)

        def forward(self, x: Tensor) -> Tensor:
            feature_NC = self.body(x).mean((2, 3))
            every_pair_NN = feature_NC @ feature_NC.T
            return self.head(every_pair_NN.diagonal().unsqueeze(1))

    found = names(cut_image_network(Squares()))
    assert "diagonal" in found
    assert "matmul" not in found


def test_a_piece_reads_multiples_of_the_batch_size_from_its_own_input() -> None:
    """torch.export writes 16 · N as a product; another version may read it off the tensor that has so many rows."""
    network = NETWORKS["regroup"].captured()
    graph = network.graph
    (product,) = (node for node in graph.graph.nodes if node.target is operator.mul)
    (expand,) = product.users
    (cat,) = expand.users
    rows = cat.args[0][0]
    with graph.graph.inserting_before(cat):
        size = graph.graph.call_function(torch.ops.aten.sym_size.int, (rows, 0))
        size.meta["val"] = product.meta["val"]
        expand.replace_all_uses_with(graph.graph.call_function(expand.target, (expand.args[0], [size, -1])))
    start, end = (network.cuts[position].tensors[0].node for position in (network.position("stem"), network.end))
    with torch.no_grad():
        at = run_to(network, [network.position("stem")], network.examples)[network.position("stem")]
        (found,) = piece(graph, [start], [end])(*at)
        assert torch.equal(found, network.road(network.examples))


def test_a_sequential_root_names_its_cuts_after_modules_not_numbers() -> None:
    found = names(cut_image_network(nn.Sequential(conv(3, 4), Classifier(4))))
    assert found[4] == "module0"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stated_shapes_and_dtypes_are_those_of_the_tensors(captured: Capturing, name: str) -> None:
    network = captured(name)
    at = run_to(network, range(len(network.cuts)), network.examples[:3])
    for cut in network.cuts:
        for spec, tensor in zip((tensor.spec for tensor in cut.tensors), at[cut.position], strict=True):
            assert (tuple(tensor.shape), str(tensor.dtype)) == ((3, *spec.shape), f"torch.{spec.dtype}")


def test_operations_rise_from_cut_to_cut(captured: Capturing) -> None:
    spent = [cut.macs for cut in captured("squeeze-excite").cuts]
    assert spent == sorted(spent)
    assert spent[0] == 0 < spent[-1]


def test_the_tensor_at_a_named_cut_is_what_the_module_of_that_name_returned() -> None:
    module = Case(Residual, IMAGE).module()
    network = cut_image_network(module)
    seen = []
    handle = module.blocks[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.clone()))
    network.road(network.examples)
    handle.remove()
    position = network.position("blocks.0")
    assert torch.equal(run_to(network, [position], network.examples)[position][0], seen[0])


def test_nothing_after_the_last_asked_cut_runs() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = conv(3, 4), Classifier(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.first(x))

    module = Counting()
    network = cut_image_network(module)
    with torch.no_grad():
        module.head.linear.weight.fill_(torch.nan)
    (batch,) = features(network, [network.position("first")], [network.examples])
    assert torch.isfinite(batch[network.position("first")][0]).all()


def test_the_graph_shares_its_weights_with_the_module() -> None:
    module = Case(Residual, IMAGE).module()
    network = cut_image_network(module)
    with torch.no_grad():
        module.head.linear.bias.add_(1.0)
        expected = network.road(network.examples)
    assert torch.equal(run_to(network, [network.end], network.examples)[network.end][0], expected)
