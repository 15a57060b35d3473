"""Count how a policy's episodes end: success, never grasped, grasped but never lifted, and so on.

    python experiments/failures.py runs/study/ppo-0/policy runs/study/sft-1000-0/policy [--episodes 256]

Every policy plays the same episodes of the training grid. Prints, for each policy, how many episodes have which end and
the objects that fail most often; ends with one line of JSON. Measured results: docs/results/supervised.md.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from recording_env import PlayOptions, RecordingEnv, episodes_of, play_in, run

RISEN = 0.02
"""Height in metres above its first place from which an object counts as lifted."""
ENDS = (
    "success",
    "was on the receptacle, not at the end",
    "never grasped",
    "grasped, never lifted",
    "held where it lay",
    "lifted and lost",
    "held in the air",
)
"""The possible ends of an episode; each episode has exactly one."""


def end_of(held: np.ndarray, height: np.ndarray, *, at_end: bool, once: bool) -> str:
    """The one of ENDS that an episode of T steps has.

    `held`: bool [T], whether the hand held the object after each step. `height`: [T], height of the object above its
    first place in metres. `at_end`, `once`: success at the last step, and at any step."""
    if at_end:
        return "success"
    if once:
        return "was on the receptacle, not at the end"
    if not held.any():
        return "never grasped"
    if held[-1]:
        return "held in the air" if height[-1] > RISEN else "held where it lay"
    return "lifted and lost" if height[held].max() > RISEN else "grasped, never lifted"


def play(bundle: Path, options: PlayOptions) -> list[tuple[str, str]]:
    """Play `bundle`; (end, name of the object) of every episode."""
    env, result = play_in(RecordingEnv, bundle, options)
    held = episodes_of(env.held)
    height = episodes_of([[now - batch[0] for now in batch[1:]] for batch in env.heights])
    return [
        (end_of(held[i], height[i], at_end=result.success_at_end[i], once=result.success_once[i]), env.names[i])
        for i in range(options.episodes)
    ]


def measure(bundle: Path, options: PlayOptions) -> dict[str, int]:
    """Play `bundle` and print its table; returns the number of episodes with each end."""
    return print_table(bundle, play(bundle, options))


def print_table(bundle: Path, played: list[tuple[str, str]]) -> dict[str, int]:
    """Print the ends of one policy's episodes; returns the number of episodes with each end."""
    ends = Counter(end for end, _ in played)
    print(f"{bundle}, {len(played)} episodes")
    for end in ENDS:
        print(f"  {ends[end]:>4} {ends[end] / len(played):6.1%}  {end}")
    met, lost = Counter(name for _, name in played), Counter(name for end, name in played if end != "success")
    worst = sorted(lost, key=lambda name: lost[name] / met[name], reverse=True)[:4]
    print("  fails most with " + ", ".join(f"{name} ({lost[name]} of {met[name]})" for name in worst), flush=True)
    return {end: ends[end] for end in ENDS}


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", "failures", measure))
