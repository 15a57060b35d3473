"""Small image worlds with the contract of the real ones: they prove in minutes that the learner learns."""

from rlvla_core.toy.world import ToyConfig, make_toy_env

__all__ = ["ToyConfig", "make_toy_env"]
