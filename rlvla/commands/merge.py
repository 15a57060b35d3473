"""`rlvla merge BUNDLE BUNDLE ... --output BUNDLE`: average the weights of several policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import identity, load_bundle, load_deploy, save_bundle
from rlvla_core.policy.merge import mean_of, own_tensors, traits


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Average the weights of several policy bundles and write the result as a new bundle.

    Made for runs that started from one policy with different seeds: the average keeps what all of them learned and
    reduces the noise of each. LoRA adapters are averaged factor by factor, which equals the average of the weights to
    first order around the common start.
    """

    bundles: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="BUNDLE BUNDLE ...")]
    """Directories of two or more policy bundles of the same robot and world."""
    output: Path
    """Directory of the new bundle."""

    def run(self) -> int:
        """Average and write; returns the exit code. Raises RlvlaError for bundles that differ in more than weights."""
        if len(self.bundles) < 2:
            raise RlvlaError(
                f"merging needs two or more bundles, got {len(self.bundles)}: add the policy of another run"
            )
        mean = mean_of(load_alike(self.bundles))
        policy = load_bundle(self.bundles[0])
        policy.load_state_dict(
            policy.state_dict() | mean
        )  # tensors that are not in the mean belong to the base and are equal in all
        facts = {"command": "merge", "bundles": {str(path): identity(path) for path in self.bundles}}
        save_bundle(policy, self.output, deploy=load_deploy(self.bundles[0]), provenance=facts)
        print(f"{self.output}: the average of {len(self.bundles)} policies")
        return 0


def load_alike(paths: Sequence[Path]) -> list[dict[str, torch.Tensor]]:
    """The trained tensors of each bundle; only one whole policy at a time is in memory.

    Raises RlvlaError if two bundles differ in more than their weights.
    """
    common: dict[str, Any] = {}
    states = []
    for path in paths:
        found, tensors = _read(path)
        for what, value in found.items():
            if common.setdefault(what, value) != value:
                raise RlvlaError(f"{path} and {paths[0]} differ in their {what}: merge policies of one start only")
        states.append(tensors)
    return states


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    policy = load_bundle(path)
    return traits(policy) | {"world (deploy.json)": load_deploy(path)}, own_tensors(policy)
