"""docs/bring-your-own-model.md, run as it stands: a network of the user's, a certificate, a running device."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from offramp.bundle.exits import read_exits
from offramp.bundle.store import open_bundle
from tests.support.pages import DOCS, blocks, run_line

PAGE = (DOCS / "bring-your-own-model.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.timeout(900)

SIDE = 32
COLOURS = {"blue": (0, 0, 90), "green": (0, 90, 0), "red": (90, 0, 0), "white": (80, 80, 80)}
COUNTS = {"train": 80, "calibration": 120, "test": 8}
"""Pictures of each class."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page takes it for granted: mynet.py, weights, pictures."""
    folder = tmp_path_factory.mktemp("desk")
    (network,) = blocks(PAGE, "python")
    (folder / "mynet.py").write_text(network)
    pictures, truth = draw(folder / "pictures")
    written: dict[str, type[nn.Module]] = {}
    exec(compile(network, "mynet.py", "exec"), written)
    for name, file in (("Net", "net.pt"), ("NetWithExits", "net-with-exits.pt")):
        torch.save(learned(written[name](), pictures, truth).state_dict(), folder / file)
    return folder


def draw(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy pictures with a square of each class's colour; those to train on are returned."""
    rng = np.random.default_rng(0)
    pictures, truth = [], []
    for part, count in COUNTS.items():
        for label, (name, colour) in enumerate(COLOURS.items()):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(40, 120, (SIDE, SIDE, 3), dtype=np.uint8)
                top, left = rng.integers(0, SIDE // 2, 2)
                picture[top : top + 16, left : left + 16] += np.array(colour, np.uint8)
                Image.fromarray(picture).save(place / f"{number}.png")
                if part == "train":
                    pictures.append(picture)
                    truth.append(label)
    return torch.from_numpy(np.stack(pictures)), torch.tensor(truth)


def learned(network: nn.Module, pictures: torch.Tensor, truth: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    inputs = pictures.permute(0, 3, 1, 2) / 255.0
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(12):
        for rows in torch.randperm(len(truth)).split(64):
            answers = network(inputs[rows])
            answers = answers if isinstance(answers, list) else [answers]
            loss = torch.stack([nn.functional.cross_entropy(logits, truth[rows]) for logits in answers]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def run_page(desk: Path, number: int) -> list[dict[str, object]]:
    """The commands of the page's block of this number; what the last one printed, line by line."""
    commands = blocks(PAGE, "bash")[number].strip().splitlines()
    assert len(commands) == 3
    printed = [run_line(command, desk) for command in commands]
    return [json.loads(line) for line in printed[-1].splitlines()]


def early(desk: Path, out: str, results: list[dict[str, object]]) -> int:
    """How many pictures left before the end."""
    assert len(results) == len(COLOURS) * COUNTS["test"]
    end = open_bundle(desk / out).manifest.end
    return sum(isinstance(result["exit"], int) and result["exit"] < end for result in results)


def test_a_network_without_exits_gets_exits_a_certificate_and_a_running_device(desk: Path) -> None:
    results = run_page(desk, 0)
    bundle = open_bundle(desk / "mine")
    assert {branch.kind for branch in bundle.manifest.branches} == {"linear"}
    assert read_exits(bundle).chosen.points
    assert "certificate.json" in bundle.manifest.files
    assert early(desk, "mine", results) > 0


def test_exits_of_a_networks_own_are_kept_as_they_are_and_deployed(desk: Path) -> None:
    results = run_page(desk, 1)
    bundle = open_bundle(desk / "theirs")
    assert [(branch.kind, bundle.manifest.cuts[branch.cut].name) for branch in bundle.manifest.branches] == [
        ("own", "stem"),
        ("own", "middle"),
    ]
    assert "certificate.json" in bundle.manifest.files
    assert early(desk, "theirs", results) > 0
