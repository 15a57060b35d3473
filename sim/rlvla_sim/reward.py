"""The paper's reward: the first difference of a latched stage score (section 1.6 of the method notes).

S = 0.1 ever_grasped + 0.1 ever_grasped_firmly + 1.0 (success now and ever_grasped); r_t = S_t - S_{t-1}, S_0 = 0. An
episode's undiscounted return is its final score, in [0, 1.2]; leaving the receptacle again costs -1.
"""

from typing import Any

GRASP_BONUS = 0.1
FIRM_GRASP_BONUS = 0.1
SUCCESS_BONUS = 1.0
FIRM_GRASP_STEPS = 5
"""A grasp is firm once it has lasted this many control steps in a row."""


def stage_score(grasped: Any, grasped_firmly: Any, success: Any) -> Any:
    """S of the latched grasp flags and of the success test that holds now: a float of bools, or [N] of bool [N]."""
    return GRASP_BONUS * grasped + FIRM_GRASP_BONUS * grasped_firmly + SUCCESS_BONUS * (success & grasped)
