"""What stands between a policy's proposal and the arm: kinematics, safety filter, arbiter, watchdogs.

No ROS and no simulator. Import names from the modules: who needs the events need not load pinocchio (a second).
"""
