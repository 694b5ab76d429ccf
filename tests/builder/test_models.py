"""Networks and weights that users name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.errors import ModelError, UnknownNameError
from offramp.records import SampleSpec
from offramp_builder.models import open_model
from offramp_builder.pretrained import load_weights

SAMPLE = SampleSpec(kind="image", shape=(8, 8, 3), dtype="uint8")
MODULE = """
import torch
from torch import nn

def sized(num_classes): return nn.Linear(4, num_classes)
def plain(): return nn.Linear(4, 9)
ready = nn.Linear(4, 7)
def nothing(): return None
def broken(): raise RuntimeError("no camera")
number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module in the current directory; its name, which no other test has."""
    name = f"users_net_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize(("factory", "classes"), [("sized", 5), ("plain", 9), ("ready", 7)])
def test_a_users_network_is_found_in_the_current_directory(here: str, factory: str, classes: int) -> None:
    network = open_model(f"{here}:{factory}", SAMPLE, 5)
    assert isinstance(network, nn.Linear)
    assert network.out_features == classes


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nothing", "gave NoneType, not an nn.Module"),
        ("broken", "failed: RuntimeError: no camera"),
        ("number", "it should be a function"),
        ("missing", "has no 'missing'; it has"),
    ],
)
def test_what_gives_no_network_is_refused_by_name(here: str, factory: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_model(f"{here}:{factory}", SAMPLE, 5)


def test_names_that_name_nothing_are_refused() -> None:
    with pytest.raises(ModelError, match="write zoo:NAME or package.module:factory"):
        open_model("resnet20", SAMPLE, 5)
    with pytest.raises(ModelError, match="cannot be imported: ModuleNotFoundError"):
        open_model("no_such_package_here:make", SAMPLE, 5)
    with pytest.raises(UnknownNameError, match="did you mean 'resnet"):
        open_model("zoo:resnet21", SAMPLE, 5)


def safetensors(state: dict[str, torch.Tensor]) -> bytes:
    header, body = {}, b""
    for key, value in state.items():
        raw = value.numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return len(text).to_bytes(8, "little") + text + body


def save(path: Path, state: dict[str, torch.Tensor]) -> Path:
    match path.suffix:
        case ".npz":
            np.savez(path, **{key: value.numpy() for key, value in state.items()})
        case ".safetensors":
            path.write_bytes(safetensors(state))
        case _:
            torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.npz", "w.safetensors"])
def test_weights_are_read_in_every_format(tmp_path: Path, name: str) -> None:
    source, target = nn.Linear(4, 3), nn.Linear(4, 3)
    load_weights(target, save(tmp_path / name, source.state_dict()))
    assert torch.equal(target.weight, source.weight)
    assert torch.equal(target.bias, source.bias)


def test_wrappers_that_training_scripts_add_are_seen_through(tmp_path: Path) -> None:
    source, target = nn.Linear(4, 3), nn.Linear(4, 3)
    wrapped = {f"module.{key}": value for key, value in source.state_dict().items()}
    torch.save({"state_dict": wrapped, "epoch": 7}, tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert torch.equal(target.weight, source.weight)


def test_weights_of_another_network_are_refused_with_the_keys(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", {"weight": torch.zeros(3, 5), "scale": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"it lacks bias; it has unknown scale; of another shape: weight"):
        load_weights(nn.Linear(4, 3), path)


class Attack:
    """What a pickle can do when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.filterwarnings("ignore")
def test_weights_are_never_unpickled_freely(tmp_path: Path) -> None:
    torch.save({"weight": Attack(tmp_path / "ran")}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="holds more than tensors"):
        load_weights(nn.Linear(4, 3), tmp_path / "w.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.npz", "w.safetensors"])
def test_damaged_weights_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\xffnot weights")
    with pytest.raises(ModelError, match=name):
        load_weights(nn.Linear(4, 3), tmp_path / name)
