"""Runs a policy bundle on an arm: `ros2 launch rlvla policy.launch.py bundle:=runs/demo/policy`.

Arguments and nodes come from rlvla_nodes.graph, the description that `rlvla run` uses as well; `--show-args` lists the
arguments.
"""

import tempfile
from pathlib import Path

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from rlvla_nodes.graph import PACKAGE, describe, write_parameters
from rlvla_nodes.launch_arguments import arguments, settings_from

RESPAWN_DELAY_S = 1.0


def end_with_errors(event, context):
    """A node that ends by itself with an error was told something wrong: everything ends. A killed one comes back."""
    if event.returncode is not None and event.returncode > 0:
        return [EmitEvent(event=Shutdown(reason=f"{event.process_name} ended with exit code {event.returncode}"))]
    return []


def make_nodes(context):
    """The processes of the graph as launch actions."""
    given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments()}
    folder = Path(tempfile.mkdtemp(prefix="rlvla-launch-"))
    actions = []
    for spec in describe(settings_from(given)):
        node = Node(
            package=PACKAGE,
            executable=spec.name,
            name=spec.name,
            parameters=[*spec.parameter_files, str(write_parameters(spec, folder))],
            additional_env=spec.environment,
            output="screen",
            respawn=spec.respawn,
            respawn_delay=RESPAWN_DELAY_S,
        )
        actions += [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=end_with_errors))]
    return actions


def generate_launch_description():
    """What `ros2 launch` asks for."""
    declared = [
        DeclareLaunchArgument(
            argument.name, default_value=argument.default, description=argument.description, choices=argument.choices
        )
        for argument in arguments()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_nodes)])
