"""A rollout seen as T·N single steps, in any order; images stay uint8 where they are."""

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.policy.policy import TokenScore, VLAPolicy


class Steps:
    """Step t of world n has the index t·N + n. Indices are int64 [b]."""

    def __init__(self, batch: RolloutBatch) -> None:
        self.batch = batch
        self.logprobs = batch.logprobs.flatten()
        """float32 [T·N], of the rollout."""
        self.valid = batch.valid.flatten().nonzero().squeeze(-1)
        """Indices of the steps that were taken."""
        self._tokens = batch.tokens.flatten(0, 1)
        self._images = batch.images.flatten(0, 1)
        self._states = None if batch.states is None else batch.states.flatten(0, 1)

    def score(self, policy: VLAPolicy, index: torch.Tensor) -> TokenScore:
        """What `policy` says now about the actions that were taken."""
        return policy.score(self.images(index), self.instructions(index), self.tokens(index))

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """uint8 [b, H, W, 3]."""
        return self._images[index]

    def tokens(self, index: torch.Tensor) -> torch.Tensor:
        """int64 [b, A]."""
        return self._tokens[index]

    def instructions(self, index: torch.Tensor) -> list[str]:
        """b sentences."""
        return [self.batch.instructions[i] for i in self.worlds(index).tolist()]

    def states(self, index: torch.Tensor) -> torch.Tensor:
        """float32 [b, S]. Raises RlvlaError where the world has none."""
        if self._states is None:
            raise RlvlaError("critic `privileged` needs a world that gives a state: use critic `shared`")
        return self._states[index]

    def worlds(self, index: torch.Tensor) -> torch.Tensor:
        """int64 [b]: in which world each step was taken."""
        return index % len(self.batch.instructions)
