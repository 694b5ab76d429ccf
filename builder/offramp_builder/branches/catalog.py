"""The kinds of branch that `--branch-kind` names."""

from offramp.registry import Catalogue
from offramp_builder.branches.conv import ConvBranch
from offramp_builder.branches.kind import BranchKind
from offramp_builder.branches.linear import LinearBranch

BRANCH_KINDS: Catalogue[BranchKind] = Catalogue(
    "kind of branch",
    [
        ("linear", LinearBranch()),
        ("conv", ConvBranch()),
    ],
)
