"""`rlvla study`, small: the command line as it is, with few demonstrations, environments and updates.

python tests/cli/tiny_study.py --directory FOLDER
"""

import sys
from dataclasses import replace

from rlvla import study
from rlvla.cli import main
from rlvla.recipe import ppo_recipe, warmup_recipe

ITERATIONS = 5


def shrink() -> None:
    """What options do not reach: the sizes of the recipe."""
    study.DEMONSTRATIONS = 4
    study.warmup_recipe = lambda seed: replace(warmup_recipe(seed), epochs=2.0)
    study.ppo_recipe = lambda seed, minutes: replace(
        ppo_recipe(seed, minutes, num_envs=4), iterations=ITERATIONS, checkpoint_every=1
    )


if __name__ == "__main__":  # the ranks import this file, too
    shrink()
    tests = ["--tests", "in-distribution", "unseen-tables", "--episodes", "4", "--temperatures", "0"]
    sys.exit(main(["study", "--methods", "ppo", "--seeds", "0", "--sft", *tests, *sys.argv[1:]]))
