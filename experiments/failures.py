"""How far do a policy's failed episodes get?

    python experiments/failures.py runs/study/ppo-0/policy runs/study/sft-1000-0/policy [--episodes 256]

Every policy meets the same episodes of the training grid. Prints, for each, how its episodes end, and the objects that
fail most; ends with one line of JSON.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from recording_env import Asked, WatchedEnv, episodes_of, play_in, run

RISEN = 0.02
"""Metres above its first place: an object that was lifted."""
ENDS = (
    "success",
    "was on the receptacle, not at the end",
    "never grasped",
    "grasped, never lifted",
    "held where it lay",
    "lifted and lost",
    "held in the air",
)
"""From the first to the last: an episode has one of them."""


def end_of(held: np.ndarray, height: np.ndarray, *, at_end: bool, once: bool) -> str:
    """Which of ENDS an episode has: held bool [T] and height of the object over its first place [T], metres, of its
    steps; whether it succeeded at the end, and at some step."""
    if at_end:
        return "success"
    if once:
        return "was on the receptacle, not at the end"
    if not held.any():
        return "never grasped"
    if held[-1]:
        return "held in the air" if height[-1] > RISEN else "held where it lay"
    return "lifted and lost" if height[held].max() > RISEN else "grasped, never lifted"


def play(bundle: Path, asked: Asked) -> list[tuple[str, str]]:
    """(end, name of the object) of every episode."""
    env, result = play_in(WatchedEnv, bundle, asked)
    held = episodes_of(env.held)
    height = episodes_of([[now - batch[0] for now in batch[1:]] for batch in env.heights])
    return [
        (end_of(held[i], height[i], at_end=result.success_at_end[i], once=result.success_once[i]), env.names[i])
        for i in range(asked.episodes)
    ]


def measure(bundle: Path, asked: Asked) -> dict[str, int]:
    """Play, print the table, count the ends."""
    return shown(bundle, play(bundle, asked))


def shown(bundle: Path, played: list[tuple[str, str]]) -> dict[str, int]:
    """Print the table of one policy; returns its counts."""
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
