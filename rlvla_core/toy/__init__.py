"""Small image environments with the contract of the real ones: they show in minutes whether the learner learns."""

from rlvla_core.toy.world import ToyConfig, make_toy_env

__all__ = ["ToyConfig", "make_toy_env"]
