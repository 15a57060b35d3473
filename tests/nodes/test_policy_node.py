"""policy_node in a real ROS graph: when it is silent, and that its answers are the policy's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticStatus
from policy_bench import PolicyBench
from ros_graph import Graph
from sensor_msgs.msg import Image
from small_bundle import ROBOT, SIDE, images, save_small_bundle

from rlvla_core.policy.policy import VLAPolicy
from rlvla_msgs.msg import ArbiterState
from rlvla_nodes import topics
from rlvla_nodes.convert import image_of, to_seconds
from rlvla_sim.robots import robot

MODES = {name: getattr(ArbiterState, name) for name in ("DISABLED", "READY", "TELEOP", "HOLD", "FAULT", "ESTOP")}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VLAPolicy]:
    path = tmp_path_factory.mktemp("run") / "policy"
    return path, save_small_bundle(path)


@pytest.fixture
def bundle(saved: tuple[Path, VLAPolicy]) -> Path:
    return saved[0]


@pytest.fixture
def stepper(graph: Graph) -> PolicyBench:
    """In lock-step: what is not answered once the node has seen the image is never answered."""
    return PolicyBench(graph, lock_step=True)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 480)])
def test_answers_are_what_the_policy_decides_on_that_image(stepper, saved, width, height, encoding):
    bundle, here = saved
    stepper.active(bundle, width, height)
    stepper.mode(ArbiterState.POLICY, epoch=7)
    decided = []
    for i, image in enumerate(images(6, width, height)):
        message = stepper.message(image[..., ::-1] if encoding == "bgr8" else image, stamp=0.2 * (i + 1))
        message.encoding = encoding
        stepper.show(message)
        command, step = stepper.answers(i + 1), stepper.steps[-1]
        sample = here.act(torch.from_numpy(image)[None], ["put it"], temperature=0.0)
        assert np.array_equal(step.tokens, sample.tokens[0].numpy())
        assert np.array_equal(step.action, sample.actions[0].double().numpy())
        assert np.array_equal(command.delta, step.action)
        assert (command.epoch, command.step, command.source) == (7, i + 1, "policy")
        assert (step.epoch, step.step, step.instruction) == (7, i + 1, "put it")
        assert command.observation_stamp == step.observation_stamp == message.header.stamp == command.header.stamp
        assert not command.deadman and not command.operator_enable
        decided.append(tuple(step.tokens))
    assert len(set(decided)) > 2, "this bundle does not look at the image: the test is void"


def test_seeded_sampling_is_repeatable_from_the_first_answer(stepper, saved):
    bundle, here = saved
    stepper.active(bundle, temperature=1.0, seed=3)
    stepper.mode(ArbiterState.POLICY)
    generator = torch.Generator().manual_seed(3)
    for i, image in enumerate(images(3)):
        stepper.show(stepper.message(image, stamp=0.2 * (i + 1)))
        stepper.answers(i + 1)
        sample = here.act(torch.from_numpy(image)[None], ["put it"], temperature=1.0, generator=generator)
        assert np.array_equal(stepper.steps[-1].tokens, sample.tokens[0].numpy())


def test_it_is_silent_unless_active_and_let_by_the_arbiter(stepper, bundle):
    """Steps count up, so the number of each answer tells that none was made in secret before it."""
    stamps = iter(np.arange(1, 100) * 0.2)

    def show() -> None:
        stepper.show(stepper.message(images(1)[0], stamp=next(stamps)))

    policy = stepper.make(bundle)
    stepper.lens()
    stepper.mode(ArbiterState.POLICY)
    show()
    policy.trigger_configure()
    show()
    for mode in MODES.values():
        stepper.mode(mode)
        if mode == ArbiterState.READY:
            policy.trigger_activate()
        show()
        show()
    assert "does not let the policy move" in stepper.line()
    stepper.mode(ArbiterState.POLICY, epoch=2)
    assert stepper.answers(1).step == 1
    assert stepper.line() == "acting"
    policy.trigger_deactivate()
    show()
    show()
    policy.trigger_activate()
    assert stepper.answers(2).step == 2
    policy.trigger_shutdown()
    show()
    assert stepper.line() == "inactive"
    assert policy._step == 2


def test_a_life_after_cleanup_answers_as_before(stepper, bundle):
    policy = stepper.active(bundle)
    stepper.mode(ArbiterState.POLICY)
    image = stepper.message(images(1)[0], stamp=0.2)
    stepper.show(image)
    first = stepper.answers(1)
    policy.trigger_deactivate()
    policy.trigger_cleanup()
    stepper.show(stepper.message(images(2)[1], stamp=0.4))
    policy.trigger_configure()
    policy.trigger_activate()
    stepper.answers(2)
    image.header.stamp.sec = 9
    stepper.show(image)
    again = stepper.answers(3)
    assert again.step == 3 and np.array_equal(again.delta, first.delta)


def test_lock_step_answers_every_image_once_and_each_epoch_anew(stepper, bundle):
    stepper.active(bundle)
    stepper.mode(ArbiterState.POLICY)
    for i, image in enumerate(images(8)):
        stepper.show(stepper.message(image, stamp=0.2 * (i + 1)))
        stepper.mode(ArbiterState.POLICY)
        assert to_seconds(stepper.answers(i + 1).observation_stamp) == pytest.approx(0.2 * (i + 1))
    stepper.mode(ArbiterState.HOLD)
    stepper.mode(ArbiterState.POLICY, epoch=2)
    again = stepper.answers(9)
    assert again.epoch == 2 and again.observation_stamp == stepper.commands[-2].observation_stamp


def test_in_lock_step_a_late_node_gets_the_image_that_waits(stepper, bundle):
    image = stepper.publish(stepper.message(images(1)[0], stamp=12.4))
    stepper.active(bundle)
    stepper.mode(ArbiterState.POLICY)
    assert stepper.answers(1).observation_stamp == image.header.stamp


def bad_images(good: Image) -> list[tuple[Image, str]]:
    def changed(**values: Any) -> Image:
        fields = {name: getattr(good, name) for name in ("header", "height", "width", "encoding", "step", "data")}
        return Image(**{**fields, **values})

    half = SIDE // 2
    return [
        (changed(height=half, data=good.data[: half * good.step]), "image of 64x32, but its camera_info says 64x64"),
        (changed(width=0, height=0, step=0, data=[]), "image of 0x0"),
        (changed(encoding="16UC1"), "encoding '16UC1' is not known"),
        (changed(encoding=""), "encoding '' is not known"),
        (changed(encoding="rgba8"), "64x64 rgba8 with step 192"),
        (changed(data=good.data[:-1]), f"has {len(good.data) - 1} bytes, expected {len(good.data)}"),
        (changed(step=0, data=[]), "with step 0"),
    ]


def test_a_bad_image_is_reported_and_the_next_good_one_is_answered(stepper, bundle):
    stepper.active(bundle)
    stepper.mode(ArbiterState.POLICY)
    stamps = iter(np.arange(1, 100) * 0.2)
    good = stepper.message(images(1)[0])
    for i, (bad, line) in enumerate(bad_images(good)):
        bad.header.stamp = stepper.message(images(1)[0], next(stamps)).header.stamp
        stepper.show(bad)
        assert line in stepper.line() and stepper.status.level == DiagnosticStatus.ERROR
        stepper.show(stepper.message(images(1)[0], next(stamps)))
        assert stepper.answers(i + 1).step == i + 1
        assert stepper.line() == "acting"


def test_a_camera_that_comes_back_with_another_view_is_not_answered(stepper, bundle):
    stepper.active(bundle)
    stepper.mode(ArbiterState.POLICY)
    stepper.lens(fx=2.0)
    stepper.show(stepper.message(images(1)[0], stamp=0.2))
    assert "sees less" in stepper.line()
    stepper.lens()
    stepper.show(stepper.message(images(1)[0], stamp=0.4))
    assert stepper.answers(1).step == 1


def test_without_an_instruction_it_says_so_and_then_answers_what_waits(stepper, saved):
    bundle, here = saved
    stepper.active(bundle, instruction="")
    stepper.mode(ArbiterState.POLICY)
    image = images(1)[0]
    stepper.show(stepper.message(image, stamp=0.2))
    assert "no instruction" in stepper.line() and stepper.status.level == DiagnosticStatus.WARN
    for i, text in enumerate(("put carrot on plate", "put spoon on towel"), start=1):
        stepper.instruct(text)
        assert stepper.graph.until(lambda text=text: stepper.policy._instruction == text)
        if i > 1:
            stepper.show(stepper.message(image, stamp=0.2 * i))
        stepper.answers(i)
        tokens = here.act(torch.from_numpy(image)[None], [text], temperature=0.0).tokens[0]
        assert stepper.steps[-1].instruction == text and np.array_equal(stepper.steps[-1].tokens, tokens.numpy())


def test_of_a_wider_camera_it_sees_what_it_was_trained_with(stepper, tmp_path):
    path = tmp_path / "policy"
    here = save_small_bundle(path, camera=robot(ROBOT).seen("workspace", SIDE, SIDE))
    stepper.active(path, 640, 480)
    stepper.mode(ArbiterState.POLICY)
    image = images(1, 640, 480)[0]
    stepper.show(stepper.message(image, stamp=0.2))
    stepper.answers(1)
    part = torch.from_numpy(image[50:430, 70:530].copy())
    assert np.array_equal(stepper.steps[-1].tokens, here.act(part[None], ["put it"], temperature=0.0).tokens[0].numpy())


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 480)])
def test_the_aligned_image_is_what_the_network_sees(stepper, saved, width, height):
    bundle, here = saved
    stepper.node.create_subscription(Image, topics.ALIGNED_IMAGE, stepper.aligned.append, topics.EVENTS)
    stepper.active(bundle, width, height)
    assert stepper.graph.until(stepper.policy._aligned.get_subscription_count)
    stepper.mode(ArbiterState.POLICY)
    image = images(1, width, height)[0]
    sent = stepper.show(stepper.message(image, stamp=0.2))
    assert stepper.graph.until(lambda: stepper.aligned)
    seen = image_of(stepper.aligned[0])
    planes = here.transform.resize(torch.from_numpy(image)[None])[0].permute(1, 2, 0).numpy()
    assert seen.shape == (SIDE, SIDE, 3) and stepper.aligned[0].header == sent.header
    assert np.abs(seen - planes.clip(0, 255)).max() <= 0.5
