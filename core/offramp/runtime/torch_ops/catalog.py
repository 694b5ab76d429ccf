"""The operators that the torch runtime knows: a closed table."""

from functools import cache

from offramp.errors import BundleError
from offramp.registry import Catalogue
from offramp.runtime.torch_ops.arithmetic import arithmetic
from offramp.runtime.torch_ops.layers import layers
from offramp.runtime.torch_ops.operator import Operator
from offramp.runtime.torch_ops.recurrent import recurrent
from offramp.runtime.torch_ops.shapes import shapes

OPSETS = range(18, 24)
"""Versions of ONNX's standard operators whose meaning the table follows; in 18 axes became inputs."""


@cache
def operators() -> Catalogue[Operator]:
    """By name. Needs torch and onnx."""
    groups = (arithmetic(), shapes(), layers(), recurrent())
    return Catalogue("operator of the torch runtime", [entry for group in groups for entry in group.items()])


def find_operator(kind: str, domain: str) -> Operator:
    """The operator of this name.

    Raises:
        BundleError: The table has none.
    """
    if domain not in ("", "ai.onnx"):
        kind = f"{domain}::{kind}"
    if kind not in operators():
        raise BundleError(f"the torch runtime has no operator {kind}; use --runtime onnx for this bundle")
    return operators()[kind]
