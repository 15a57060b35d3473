"""The learner, and everything that is neither simulator nor ROS.

Importing this package is quick on purpose: it pulls in no torch, no simulator and no robot library. Each room
(`policy`, `learning`, `data`, `evaluation`, `runs`) imports what it owns when it is entered.
"""

__version__ = "0.1.0"
