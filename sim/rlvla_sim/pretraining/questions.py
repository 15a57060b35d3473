"""What pretraining asks about an image, and how the answer is written as the seven numbers of an action."""

import numpy as np

from rlvla_core.policy.norm_stats import NormStats

QUESTIONS = (
    "point at {object} and {receptacle}",
    "where are the {object} and the {receptacle}?",
    "find {object} and {receptacle}",
    "look at the {object}, then at the {receptacle}",
    "how far is it to the {object} and to the {receptacle}?",
    "the {receptacle} and the {object}: where?",
    "first {object}, then {receptacle}",
    "Show me the {object} beside the {receptacle}.",
    "tell me where {object} lies and where {receptacle} stands",
    "which way to the {object}? And to the {receptacle}?",
    "say where the {receptacle} is and what way the {object} lies",
    "see the {object} here and the {receptacle} there.",
)
"""Question templates that fit the policy's one prompt; none is an instruction of the task or uses a verb of one."""
NEAR = 0.05
"""Distance in metres at which an answer has used half of its scale: one token bin is 0.3 mm wide at 0 and 3 mm at 10
cm."""
ANSWER = NormStats(
    q01=(-0.85, -0.85, -0.85, -0.85, -0.85, -1.6, 0.0),
    q99=(0.85, 0.85, 0.85, 0.85, 0.85, 2.6, 1.0),
    mask=(True, True, True, True, True, True, False),
)
"""Normalisation of the answers. An answer has seven numbers like an action but is none: from the hand to the object (x
y z, base frame), from the hand to the receptacle (x y), both `squeezed`; how far the closing direction of the fingers
has to turn to the object's narrow side (radians, one of `grasp.ANGLES` from the start); and +1 for a free hand, -1 for
one that holds the object."""


def squeezed(metres: np.ndarray) -> np.ndarray:
    """Distances [any shape] in metres on the scale of answers, -1 .. 1, which is finest for short ones."""
    return metres / (np.abs(metres) + NEAR)


def unsqueezed(answer: np.ndarray) -> np.ndarray:
    """Distances [any shape] in metres from the scale of answers; inverse of `squeezed`."""
    return NEAR * answer / (1 - np.abs(answer))
