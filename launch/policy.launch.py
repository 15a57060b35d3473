"""Runs a policy bundle on an arm: `ros2 launch rlvla policy.launch.py bundle:=runs/demo/policy`.

Arguments and nodes come from rlvla_nodes.graph, the description that `rlvla run` uses as well; `--show-args` lists the
arguments. `ros2` runs this file in the Python that the distribution came with: it must not need torch or a simulator.
"""

import atexit
import shutil
import tempfile
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from rlvla_core.errors import RlvlaError
from rlvla_nodes.config_files import PACKAGE
from rlvla_nodes.graph import RESPAWN_DELAY_S, describe, write_parameters
from rlvla_nodes.launch_arguments import arguments, settings_from


def end_with_errors(event, context):
    """End everything if a node has ended by itself with an error; a node that was killed comes back.

    The error is raised, not emitted as an event: so `ros2 launch` ends with exit code 1.
    """
    if event.returncode > 0 and not context.is_shutdown:
        raise RlvlaError(f"{event.process_name} ended with exit code {event.returncode}: stopping the others")


def make_nodes(context):
    """The processes of the graph, as launch actions."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments()}
    specs = describe(settings_from(given))
    folder = Path(tempfile.mkdtemp(prefix="rlvla-launch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    actions = []
    for spec in specs:
        node = Node(
            package=PACKAGE,
            executable=spec.name,
            parameters=[*spec.parameter_files, str(write_parameters(spec, folder))],
            additional_env=spec.environment,
            output="screen",
            respawn=True,
            respawn_delay=RESPAWN_DELAY_S,
        )
        # Before the node, or the handler could miss the exit of one that ends at once.
        actions += [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=end_with_errors)), node]
    return actions


def generate_launch_description():
    """The launch description that `ros2 launch` asks for."""
    declared = [
        DeclareLaunchArgument(
            argument.name, default_value=argument.default, description=argument.description, choices=argument.choices
        )
        for argument in arguments()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_nodes)])
