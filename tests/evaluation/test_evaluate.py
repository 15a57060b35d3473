"""Evaluation of a scripted world whose outcomes are known for every episode."""

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from rich.console import Console

from rlvla_core.environment import EnvSpec, Observation, StepResult, check_episode_ids
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate, merge_results
from rlvla_core.evaluation.report import compare, format_p, format_rate, summary_markdown, summary_table
from rlvla_core.geometry.camera import CameraSpec

MAX_STEPS = 6
CAMERA = CameraSpec(
    name="c",
    width=8,
    height=6,
    fx=8.0,
    fy=8.0,
    cx=4.0,
    cy=3.0,
    position_in_base=(0.0, 0.0, 0.0),
    quaternion_in_base=(1.0, 0.0, 0.0, 0.0),
)


class ScriptedWorld:
    """Episode i: the test holds after steps 2 and 3 if i is even, after the last step if i is divisible by 3; it
    terminates at step 4 if i is divisible by 5. The reward of a step is the first action. Images show id and step."""

    def __init__(self, num_envs: int, grasps: bool = True) -> None:
        self.num_envs, self.grasps = num_envs, grasps
        self.spec = EnvSpec(
            robot="none", camera=CAMERA, control_hz=5.0, max_steps=MAX_STEPS, episode_set="script", num_episodes=60
        )
        self.step_calls = 0

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        check_episode_ids(episode_ids, self.spec, self.num_envs)
        self.ids, self.time = episode_ids.clone(), torch.zeros(self.num_envs, dtype=torch.int64)
        return self._observe()

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        assert active is not None and actions.shape == (self.num_envs, 7)
        self.step_calls += 1
        self.time = self.time + active
        last = self.time == MAX_STEPS
        terminated = (self.ids % 5 == 0) & (self.time == 4)
        success = ((self.ids % 2 == 0) & ((self.time == 2) | (self.time == 3))) | (
            (self.ids % 3 == 0) & (last | terminated)
        )
        info = {"grasped": self.time == 2, "grasped_firmly": (self.ids % 4 == 0) & (self.time == 3)}
        return StepResult(
            observation=self._observe(),
            rewards=torch.where(active, actions[:, 0], 0.0),
            terminated=terminated,
            truncated=last,
            success=success,
            info=info if self.grasps else {},
        )

    def close(self) -> None: ...

    def _observe(self) -> Observation:
        images = torch.zeros(self.num_envs, 6, 8, 3, dtype=torch.uint8)
        images[..., 0] = self.ids.to(torch.uint8)[:, None, None]
        images[..., 1] = self.time.to(torch.uint8)[:, None, None]
        return Observation(images=images, instructions=[f"do {int(i)}" for i in self.ids])


class NoisyPolicy:
    """First action: 1, plus noise drawn row by row when it samples."""

    def act(self, images: torch.Tensor, instructions: Any, *, temperature: float = 1.0, generator=None) -> Any:
        actions = torch.ones(len(images), 7)
        if temperature > 0:
            actions = actions + temperature * torch.rand(len(images), 7, generator=generator)
        return SimpleNamespace(actions=actions)


def expected(episodes: EpisodeList) -> dict[str, np.ndarray]:
    ids = np.array(episodes.ids)
    return {
        "success_at_end": ids % 3 == 0,
        "success_once": (ids % 2 == 0) | (ids % 3 == 0),
        "grasped": np.ones(len(ids), dtype=bool),
        "grasped_firmly": ids % 4 == 0,
        "lengths": np.where(ids % 5 == 0, 4, MAX_STEPS),
        "returns": np.where(ids % 5 == 0, 4.0, MAX_STEPS),
    }


@pytest.mark.parametrize("num_envs", [1, 4, 7, 64])
def test_every_outcome_is_right_for_every_batch_size(num_envs: int) -> None:
    world = ScriptedWorld(num_envs)
    episodes = EpisodeList.draw(world.spec, 30, seed=0)
    done: list[int] = []
    result = evaluate(NoisyPolicy(), world, episodes, progress=done.append)
    for name, values in expected(episodes).items():
        np.testing.assert_array_equal(getattr(result, name), values, err_msg=name)
    assert done[-1] == 30 and result.n == 30


def test_a_batch_ends_when_all_its_episodes_have_ended() -> None:
    world = ScriptedWorld(4)
    evaluate(NoisyPolicy(), world, [5, 10, 15, 20])
    assert world.step_calls == 4


def test_sampling_is_repeatable_and_independent_of_the_number_of_processes() -> None:
    episodes = EpisodeList.draw(ScriptedWorld(4).spec, 14, seed=2)

    def returns(seed: int) -> np.ndarray:
        return evaluate(NoisyPolicy(), ScriptedWorld(4), episodes, temperature=1.0, seed=seed).returns

    whole = evaluate(NoisyPolicy(), ScriptedWorld(4), episodes, temperature=1.0, seed=3, record=6)
    np.testing.assert_array_equal(returns(3), whole.returns)
    assert not np.array_equal(returns(4), whole.returns)
    batches = episodes.batches(4)
    parts = [
        evaluate(NoisyPolicy(), ScriptedWorld(4), episodes.part(ids), temperature=1.0, seed=3)
        for ids in (batches[1].ids + batches[3].ids, batches[2].ids + batches[0].ids)
    ]
    merged = merge_results(parts, episodes)
    np.testing.assert_array_equal(merged.returns, whole.returns)
    np.testing.assert_array_equal(merged.success_at_end, whole.success_at_end)
    assert merged.episodes == episodes


def test_merging_refuses_what_does_not_make_the_list() -> None:
    world = ScriptedWorld(4)
    episodes = EpisodeList.draw(world.spec, 8, seed=0)
    first, second = (evaluate(NoisyPolicy(), world, batch) for batch in episodes.batches(4))
    for parts in ([first], [first, first], [first, second, second]):
        with pytest.raises(RlvlaError, match="the parts hold"):
            merge_results(parts, episodes)
    sampled = evaluate(NoisyPolicy(), world, second.episodes, temperature=0.5)
    with pytest.raises(RlvlaError, match="different temperatures"):
        merge_results([first, sampled], episodes)


def test_recordings_show_the_whole_episode_and_its_success() -> None:
    result = evaluate(NoisyPolicy(), ScriptedWorld(3), [5, 6, 7, 10, 2], record=4)
    assert set(result.recordings) == {5, 6, 7, 10}
    clip = result.recordings[6]
    assert clip.instruction == "do 6"
    assert clip.frames.shape == (MAX_STEPS + 1, 6, 8, 3)
    np.testing.assert_array_equal(clip.frames[:, 0, 0, 1], np.arange(MAX_STEPS + 1))
    assert (clip.frames[..., 0] == 6).all()
    np.testing.assert_array_equal(clip.success, [False, False, True, True, False, False, True])
    assert len(result.recordings[10].frames) == 5  # it terminates at step 4


def test_json_holds_n_intervals_hash_and_comes_back() -> None:
    world = ScriptedWorld(8)
    result = evaluate(NoisyPolicy(), world, EpisodeList.draw(world.spec, 20, seed=1), temperature=0.3, seed=9)
    value = json.loads(json.dumps(result.to_json(), allow_nan=False))
    for metric in ("success_at_end", "success_once", "grasped", "grasped_firmly"):
        low, high = value[metric]["wilson95"]
        assert value[metric]["n"] == 20 and low <= value[metric]["rate"] <= high
    assert value["list_sha256"] == result.episodes.sha256 and value["temperature"] == 0.3
    again = EvaluationResult.from_json(value)
    assert again.to_json() == value
    value["episodes"]["ids"][0], value["episodes"]["ids"][1] = value["episodes"]["ids"][1::-1]
    with pytest.raises(RlvlaError, match="do not match their hash"):
        EvaluationResult.from_json(value)
    with pytest.raises(RlvlaError, match="not an evaluation result"):
        EvaluationResult.from_json({"n": 3})


def test_a_world_without_grasps_reports_none() -> None:
    result = evaluate(NoisyPolicy(), ScriptedWorld(4, grasps=False), [1, 2, 3])
    assert result.metrics() == ("success_at_end", "success_once")
    with pytest.raises(RlvlaError, match="no metric `grasped`: use one of success_at_end, success_once"):
        result.outcomes("grasped")


def test_training_mode_is_put_back() -> None:
    class Module(torch.nn.Module):
        def act(self, images: torch.Tensor, instructions: Any, *, temperature: float = 1.0, generator=None) -> Any:
            assert not self.training
            return SimpleNamespace(actions=torch.ones(len(images), 7))

    policy = Module().train()
    evaluate(policy, ScriptedWorld(2), [1, 2])
    assert policy.training


def test_bad_requests_are_refused() -> None:
    world = ScriptedWorld(2)
    with pytest.raises(RlvlaError, match="temperature"):
        evaluate(NoisyPolicy(), world, [1], temperature=-1.0)
    with pytest.raises(RlvlaError, match="episode id 60"):
        evaluate(NoisyPolicy(), world, [60])
    with pytest.raises(RlvlaError, match="the environment has `script`"):
        evaluate(NoisyPolicy(), world, EpisodeList(episode_set="other", num_episodes=60, ids=(1,)))


def with_outcomes(ids: range, at_end: np.ndarray, temperature: float = 0.0) -> EvaluationResult:
    return EvaluationResult(
        episodes=EpisodeList(episode_set="script", num_episodes=60, ids=tuple(ids)),
        temperature=temperature,
        seed=0,
        success_at_end=at_end,
        success_once=np.ones_like(at_end),
        returns=at_end.astype(float),
        lengths=np.full(len(at_end), 6),
    )


def test_a_comparison_counts_pairs_and_never_prints_a_bare_percentage() -> None:
    before = with_outcomes(range(20), np.arange(20) < 5)
    after = with_outcomes(range(20), (np.arange(20) >= 4) & (np.arange(20) < 16))
    comparison = compare(before, after, names=("warm-up", "PPO"))
    row = comparison.metrics[0]
    assert (row.before, row.after, row.only_before, row.only_after, row.n) == (5, 12, 4, 11, 20)
    assert row.low < row.difference < row.high and row.difference == pytest.approx(7 / 20)
    assert row.p_value == pytest.approx(2 * sum([1, 15, 105, 455, 1365]) / 2**15)  # binomial tail, by hand
    value = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert value["success_at_end"]["difference95"] == [row.low, row.high] and value["n"] == 20
    text = comparison.to_markdown()
    assert "12/20 = 60.0 % [38.7, 78.1]" in text and "+35.0 points [" in text and "Only n=20" in text
    for report in (text, summary_markdown("PPO", after)):
        for line in report.splitlines():
            if " %" in line and "95 %" not in line:
                assert "/20 = " in line and "[" in line


def test_a_comparison_of_different_lists_or_temperatures_is_refused() -> None:
    flags = np.arange(20) < 5
    with pytest.raises(RlvlaError, match="two episode lists"):
        compare(with_outcomes(range(20), flags), with_outcomes(range(1, 21), flags))
    with pytest.raises(RlvlaError, match=r"temperatures 0\.0 and 0\.6"):
        compare(with_outcomes(range(20), flags), with_outcomes(range(20), flags, temperature=0.6))


def test_tables_and_formats() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table([("PPO", with_outcomes(range(20), np.arange(20) < 5))]))
    lines = cast(io.StringIO, console.file).getvalue().splitlines()
    row = next(line for line in lines if line.strip().startswith("success at end"))
    assert row.split("end")[1].strip() == "5/20 = 25.0 % [11.2, 46.9]"
    assert not any("grasped" in line for line in lines)  # this result has no such metric
    assert format_rate(41, 64) == "41/64 = 64.1 % [51.8, 74.7]"
    assert [format_p(p) for p in (0.05248, 3e-7, 1.0)] == ["0.052", "< 1e-4", "1"]
