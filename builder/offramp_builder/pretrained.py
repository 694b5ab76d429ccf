"""Weights from a file into a network: .pt/.pth (never unpickled freely), .npz or .safetensors.

Files that a build leaves also know the normalisation that the network learned with, and the branches that learned
together with it.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from offramp.errors import ModelError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts keep the weights
_MAX_HEADER = 100 << 20  # bytes: what the safetensors format itself allows
_SAFETENSORS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a state dict into `model`, every key of it.

    Raises:
        ModelError: No such file, not weights, or not this network's; the message names the keys that do not fit.
    """
    state = _unwrap(_read(path))
    expected = model.state_dict()
    # An old BatchNorm has no batch counter; nothing reads it in evaluation mode.
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    strange = [key for key in state if key not in expected]
    shapes = [key for key in expected if key in state and state[key].shape != expected[key].shape]
    if missing or strange or shapes:
        told = [
            f"{what} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
            for what, keys in (("it lacks", missing), ("it has unknown", strange), ("of another shape:", shapes))
            if keys
        ]
        raise ModelError(
            f"{path} does not fit {type(model).__name__}: {'; '.join(told)}; give the weights of this network"
        )
    model.load_state_dict(state, strict=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedBranch:
    """A branch as it was when its training ended, from which another one can go on."""

    kind: str
    variant: int
    """Which of those that its kind has for the feature there."""
    state: dict[str, Tensor]
    """Of its head."""


def save_weights(
    model: nn.Module,
    path: Path,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    branches: Mapping[str, LearnedBranch] | None = None,
) -> None:
    """Write the state dict of `model`, the normalisation that it learned with, and branches that learned together with
    it, by cut; never leaving half a file.
    """
    partial = path.with_name(path.name + ".partial")
    learned = {
        cut: {"kind": branch.kind, "variant": branch.variant, "state_dict": branch.state}
        for cut, branch in (branches or {}).items()
    }
    content = {"state_dict": model.state_dict(), "mean": list(mean), "std": list(std), "branches": learned}
    torch.save(content, partial)
    partial.replace(path)


def branches_of(path: Path) -> dict[str, LearnedBranch]:
    """Branches that learned together with the weights at `path`, by cut; none where the file has none.

    Raises:
        ModelError: No such file, or not weights.
    """
    content = _read(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        return {}
    learned = content.get("branches")
    if not isinstance(learned, Mapping) or not all(_is_branch(branch) for branch in learned.values()):
        return {}  # a file of somebody else's, who calls something else so
    return {
        cut: LearnedBranch(kind=branch["kind"], variant=branch["variant"], state=branch["state_dict"])
        for cut, branch in learned.items()
    }


def _is_branch(found: object) -> bool:
    return isinstance(found, Mapping) and found.keys() >= {"kind", "variant", "state_dict"}


def normalisation_of(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that the weights at `path` learned with; empty where the file does not say.

    Raises:
        ModelError: No such file, or not weights.
    """
    content = _read(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        return (), ()
    mean, std = (content.get(name) for name in ("mean", "std"))
    return tuple(map(float, mean or ())), tuple(map(float, std or ()))


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"there are no weights at {path}; give a .pt, .npz or .safetensors file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read as weights: {error}") from error
    except Exception as error:  # torch.load raises RuntimeError and its unpickler's own
        raise ModelError(
            f"{path} holds more than tensors, or is damaged; save the network's weights with "
            f"torch.save(model.state_dict(), file)"
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(_MAX_HEADER, len(content) - 8):
        raise ModelError(f"{path} is no safetensors file: it declares a header of {length} bytes")
    header = json.loads(content[8 : 8 + length])
    body = memoryview(content)[8 + length :]
    found = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        values = torch.frombuffer(bytearray(body[start:stop]), dtype=_SAFETENSORS[entry["dtype"]])
        found[key] = values.reshape(entry["shape"])
    return found


def _unwrap(content: Any) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(
            f"the file holds {type(content).__name__}, not a mapping of names to tensors; save a state_dict"
        )
    # DataParallel puts `module.` before every name.
    return {str(key).removeprefix("module."): value for key, value in content.items()}
