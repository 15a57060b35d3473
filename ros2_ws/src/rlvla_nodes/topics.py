"""Names and quality of service of all topics, services and actions of the nodes.

docs/reference/ros_graph.md has them as a table.

A name is absolute if another package owns it (realsense2_camera, joint_state_broadcaster); our own are relative, so
that two rigs may run under two namespaces.
"""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

IMAGE = "/camera/camera/color/image_raw"
"""sensor_msgs/Image; the default of realsense2_camera."""
CAMERA_INFO = "/camera/camera/color/camera_info"
JOINT_STATES = "/joint_states"
ROBOT_DESCRIPTION = "/robot_description"
DIAGNOSTICS = "/diagnostics"
JOY = "/joy"
INSTRUCTION = "instruction"
POLICY_COMMAND = "policy/command"
POLICY_STEP = "policy/step"
ALIGNED_IMAGE = "policy/aligned_image"
TELEOP_COMMAND = "teleop/command"
ARBITER_STATE = "arbiter/state"
INTERVENTIONS = "arbiter/interventions"
JOINT_TARGET = "arbiter/joint_target"
SET_MODE = "arbiter/set_mode"
ESTOP = "arbiter/estop"
HOLD = "arbiter/hold"
START = "arbiter/start"
RESET_EPISODE = "sim_robot/reset_episode"
EPISODE_RESULT = "sim_robot/episode_result"
POLICY_LIFECYCLE = "policy_node/get_state"
RUN_TRIAL = "trial/run"


def _qos(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


NEWEST = _qos(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""For readers of images in real time: the newest image or none, whatever the publisher offers."""
STREAM = _qos(2, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""For publishers of images, joint states, commands and targets: best-effort and reliable readers can both connect."""
EVENTS = _qos(100, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""For interventions, policy steps and diagnostics, of which a recorder needs every one."""
LATCHED = _qos(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""For state that a node which starts later must know at once: mode, instruction, robot description. In lock-step also
for images and joint states, which are published once and then waited for."""
