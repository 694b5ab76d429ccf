"""The losses that `--joint` names."""

from offramp.registry import Catalogue
from offramp_builder.joint.losses import BranchyNetLoss, DistillLoss, EENetsLoss, ExclusionLoss, JointLoss

JOINT_LOSSES: Catalogue[type[JointLoss]] = Catalogue(
    "joint loss",
    [
        ("branchynet", BranchyNetLoss),
        ("eenets", EENetsLoss),
        ("exclusion", ExclusionLoss),
        ("distill", DistillLoss),
    ],
)
