"""ManiSkill's batched worlds behind the VecEnv contract: tensors stay on the simulator's device."""

import torch

from rlvla_core.environment import Observation, StepResult, check_episode_ids
from rlvla_core.errors import RlvlaError
from rlvla_sim.config import WorldConfig
from rlvla_sim.maniskill.env import PutOnEnv
from rlvla_sim.vec_env import check_actions, env_spec


class ManiSkillVecEnv:
    """VecEnv over one `RlvlaPutOn-v1`: `cuda` simulates all environments at once, `cpu` takes one environment.

    The environments step in lock-step, so an inactive one cannot be stopped: it holds its pose, and its last image,
    state and flags are repeated.
    """

    def __init__(self, config: WorldConfig, num_envs: int, *, device: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise RlvlaError("device `cuda` needs an NVIDIA GPU that torch can see: use device cpu")
        if device == "cpu" and num_envs != 1:
            raise RlvlaError(f"ManiSkill on CPU steps 1 environment, not {num_envs}")
        self.config = config
        self.num_envs = num_envs
        self.spec = env_spec(config)
        backend, drawing = ("physx_cuda", "gpu") if device == "cuda" else ("physx_cpu", "cpu")
        self.env = PutOnEnv(config=config, num_envs=num_envs, sim_backend=backend, render_backend=drawing)

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        """Start episode `episode_ids[i]` (int64 [N]) in environment i; see VecEnv."""
        check_episode_ids(episode_ids, self.spec, self.num_envs)
        seen, _ = self.env.reset(options={"episode_ids": episode_ids.cpu()})
        self._result = self._collect(seen)
        self._gripper = torch.ones(self.num_envs, device=self.env.device)
        return self._result.observation

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        """Apply float [N, 7] actions to the active environments; see VecEnv."""
        check_actions(actions, self.num_envs)
        before = self._result
        actions = actions.to(self.env.device, torch.float32)
        if active is not None:
            active = active.to(self.env.device)
            hold = torch.cat([torch.zeros_like(actions[:, :6]), self._gripper[:, None]], dim=1)
            actions = torch.where(active[:, None], actions, hold)
        self._gripper = actions[:, 6]
        seen, *_ = self.env.step(actions)
        self._result = self._collect(seen)
        if active is not None:
            self._result = _keep_inactive(self._result, before, active)
        return self._result

    def _collect(self, seen: dict) -> StepResult:
        env = self.env
        steps = env.elapsed_steps.to(torch.int64).clone()
        ended = env.success & env.grasped if self.config.end_on_success else torch.zeros_like(env.success)
        images = seen["sensor_data"][env.camera.name]["rgb"]
        return StepResult(
            observation=Observation(images=images, instructions=env.instructions, state=self._state()),
            rewards=env.gain.float(),
            terminated=ended,
            truncated=(steps >= self.config.max_steps) & ~ended,
            success=env.success,
            info={
                "grasped": env.grasped,
                "grasped_firmly": env.grasped_firmly,
                "grasped_now": env.grasped_now,
                "steps": steps,
            },
        )

    def _state(self) -> torch.Tensor:
        """Privileged state, float32 [N, S], columns as in `rlvla_sim.world.STATE_FIELDS`."""
        env = self.env
        tcp, thing, place = (env.in_base(body.pose) for body in (env.agent.tcp, env.object, env.receptacle))
        fingers = [joint.name in env.spec_robot.finger_joints for joint in env.agent.robot.active_joints]
        opening = env.agent.robot.qpos[:, fingers].mean(dim=1, keepdim=True)
        flags = torch.stack([env.grasped_now, env.grasped, env.grasped_firmly, env.success], dim=1).float()
        time = env.elapsed_steps[:, None].float() / self.config.max_steps
        parts = [tcp[:, :3, 3], _two_columns(tcp), opening, thing[:, :3, 3], _two_columns(thing)]
        return torch.cat([*parts, place[:, :3, 3], flags, time], dim=1)

    def close(self) -> None:
        """Free the simulator."""
        self.env.close()


def _two_columns(transform: torch.Tensor) -> torch.Tensor:
    """First two columns of the rotations of [N, 4, 4] transforms, one after the other: [N, 6]."""
    return transform[:, :3, :2].transpose(1, 2).flatten(1)


def _keep_inactive(now: StepResult, before: StepResult, active: torch.Tensor) -> StepResult:
    """`now` for the active environments; the others repeat `before` with no reward."""

    def pick(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.where(active.reshape(-1, *[1] * (a.dim() - 1)), a, b)

    seen, last = now.observation, before.observation
    assert seen.state is not None and last.state is not None
    return StepResult(
        observation=Observation(
            images=pick(seen.images, last.images), instructions=seen.instructions, state=pick(seen.state, last.state)
        ),
        rewards=pick(now.rewards, torch.zeros_like(now.rewards)),
        terminated=pick(now.terminated, before.terminated),
        truncated=pick(now.truncated, before.truncated),
        success=pick(now.success, before.success),
        info={name: pick(value, before.info[name]) for name, value in now.info.items()},
    )
