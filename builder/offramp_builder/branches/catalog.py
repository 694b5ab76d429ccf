"""The kinds of branch that `--branch-kind` names."""

from offramp.registry import Catalogue
from offramp_builder.branches.conv import ConvBranch
from offramp_builder.branches.eenets import EENetsBranch
from offramp_builder.branches.ensemble import EnsembleBranch
from offramp_builder.branches.exclusion import ExclusionBranch
from offramp_builder.branches.gate import GatedBranch
from offramp_builder.branches.kind import BranchKind
from offramp_builder.branches.linear import LinearBranch
from offramp_builder.branches.sidenet import SideNetBranch

BRANCH_KINDS: Catalogue[BranchKind] = Catalogue(
    "kind of branch",
    [
        ("linear", LinearBranch()),
        ("sidenet", SideNetBranch()),
        ("conv", ConvBranch()),
        ("conv2", ConvBranch(convolutions=2)),
        ("conv3", ConvBranch(convolutions=3)),
        ("eenets", EENetsBranch()),
        ("exclusion", ExclusionBranch()),
        ("ensemble", EnsembleBranch()),
        ("gate", GatedBranch(LinearBranch())),
        ("gate-conv", GatedBranch(ConvBranch())),
    ],
)
