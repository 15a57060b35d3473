"""`rlvla merge BUNDLE BUNDLE ... --output BUNDLE`: several runs from one start become one policy."""

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
    """Write a bundle whose weights are the mean of those of several bundles.

    Made for runs that went on from one policy with different seeds: what each learned by chance cancels, what all
    learned stays. LoRA adapters are averaged factor by factor, which is the mean to first order around a common start.
    """

    bundles: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Two or more policy bundles of one robot and world."""
    output: Path
    """Directory of the new bundle."""

    def run(self) -> int:
        """Merge, write, say so. Raises RlvlaError for bundles that do not belong together."""
        if len(self.bundles) < 2:
            raise RlvlaError(f"merging needs two or more bundles, got {len(self.bundles)}: name another run's policy")
        mean = mean_of(load_alike(self.bundles))
        policy = load_bundle(self.bundles[0])
        policy.load_state_dict(policy.state_dict() | mean)  # what the mean lacks is the base's, the same in all
        facts = {"command": "merge", "bundles": {str(path): identity(path) for path in self.bundles}}
        save_bundle(policy, self.output, deploy=load_deploy(self.bundles[0]), provenance=facts)
        print(f"{self.output}: {len(self.bundles)} policies in one")
        return 0


def load_alike(paths: Sequence[Path]) -> list[dict[str, torch.Tensor]]:
    """The tensors of each bundle; of whole policies one at a time is in memory. Raises RlvlaError where two differ in
    more than their weights."""
    common: dict[str, Any] = {}
    states = []
    for path in paths:
        found, tensors = _read(path)
        for what, value in found.items():
            if common.setdefault(what, value) != value:
                raise RlvlaError(f"{path} and {paths[0]} differ in their {what}: merge policies of one start")
        states.append(tensors)
    return states


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    policy = load_bundle(path)
    return traits(policy) | {"world (deploy.json)": load_deploy(path)}, own_tensors(policy)
