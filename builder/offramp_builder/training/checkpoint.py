"""A training that was interrupted, on disk, so that the same command goes on with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from offramp.errors import InputError


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state, never leaving a half-written file under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


def load(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state of the same training, or None when there is none.

    Raises:
        InputError: There is a checkpoint of another training, or one that cannot be read.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["fingerprint"] == fingerprint:
            return state
    except Exception as error:  # torch.load raises whatever its archive reader and unpickler raise
        raise InputError(f"{path} is no checkpoint that can be read ({error}); delete it to start afresh") from error
    raise InputError(f"{path} belongs to a training with other data, network or settings; delete it to start afresh")
