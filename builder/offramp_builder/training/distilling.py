"""Learning from what another network says.

# N samples, K classes
"""

import torch
from torch import Tensor
from torch.nn import functional


def distillation(logits_NK: Tensor, told_NK: Tensor, temperature: float) -> Tensor:
    """How far a classifier is from its teacher: T² KL(teacher || classifier) at temperature T, in nats.

    From Hinton and others, "Distilling the Knowledge in a Neural Network" (2015); T² keeps its gradients as large as
    those of the labels.
    """
    wanted_NK = torch.log_softmax(told_NK / temperature, dim=1)
    said_NK = torch.log_softmax(logits_NK / temperature, dim=1)
    return temperature**2 * functional.kl_div(said_NK, wanted_NK, reduction="batchmean", log_target=True)
