"""Pretraining scenes: repeatable, from the training split and workspace only, and what they say is what they show."""

import numpy as np
import pytest

from rlvla_sim.assets import catalogue
from rlvla_sim.config import WorldConfig
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.episodes import YAWS
from rlvla_sim.grasp import plan_grasp
from rlvla_sim.pretraining.questions import ANSWER, QUESTIONS, squeezed, unsqueezed
from rlvla_sim.pretraining.scenes import YAW_SPREAD, Scenes
from rlvla_sim.shifts.unseen_instructions import TEMPLATES
from rlvla_sim.shifts.unseen_positions import UNSEEN_YAWS


@pytest.fixture(scope="module", params=["widowx250s", "panda"])
def scenes(request):
    return Scenes(WorldConfig(robot=request.param))


@pytest.fixture(scope="module")
def some(scenes):
    return [scenes.draw(0, number) for number in range(60)]


def test_a_scene_depends_on_its_number_alone(scenes, some):
    again = Scenes(scenes.config)
    for number in (37, 4):
        scene = again.draw(0, number)
        assert np.array_equal(scene.image, some[number].image)
        assert np.array_equal(scene.target, some[number].target)
        assert np.array_equal(scene.pixels, some[number].pixels, equal_nan=True)
        assert scene.instruction == some[number].instruction
    assert not np.array_equal(again.draw(1, 4).image, some[4].image)


def test_only_things_of_the_training_split_appear(scenes, some):
    assets = catalogue("procedural")
    unseen = [thing.name for thing in (*assets.objects[16:], *assets.receptacles[1:])]
    assert not set(unseen) & set(scenes.point_names)
    assert len(scenes.point_names) == 2 + 3 * 16
    assert len(scenes.tables) == 16
    task = episode_set("train").decode(0).instruction("carrot", "plate")
    questions = {
        question.format(object=thing.name, receptacle="plate") for question in QUESTIONS for thing in scenes.objects
    }
    for scene in some:
        assert scene.instruction in questions
        assert scene.instruction != task
    assert len({scene.instruction for scene in some}) > 10


def test_questions_leave_the_unseen_sentences_unseen():
    verbs = {"put", "place", "placed", "set", "move", "take", "pick", "make"}
    for question in QUESTIONS:
        assert question not in TEMPLATES
        assert "{object}" in question
        assert "{receptacle}" in question
        assert not verbs & set(question.lower().split())


def test_no_unseen_yaw_is_shown():
    for unseen in UNSEEN_YAWS:
        nearest = min(abs((unseen - yaw + np.pi / 2) % np.pi - np.pi / 2) for yaw in YAWS)
        assert nearest > YAW_SPREAD + 0.2


def test_answers_are_precise_where_the_hand_is_near():
    metres = np.linspace(-0.28, 0.28, 57)
    assert unsqueezed(squeezed(metres)) == pytest.approx(metres)
    assert np.abs(squeezed(metres)).max() < ANSWER.q99[0]
    bin_width = (ANSWER.q99[0] - ANSWER.q01[0]) / 256
    assert unsqueezed(np.array(bin_width)) < 0.0004


def test_the_answer_fits_its_scale_and_says_who_holds_what(some):
    for scene in some:
        assert (scene.target[:6] >= ANSWER.q01[:6]).all()
        assert (scene.target[:6] <= ANSWER.q99[:6]).all()
        if scene.target[6] < 0:  # held: the object is in the hand
            assert np.linalg.norm(unsqueezed(scene.target[:3])) < 0.04
    held = np.mean([scene.target[6] < 0 for scene in some])
    assert 0.15 < held < 0.6


def test_a_small_turn_of_a_thing_never_swaps_its_ends_or_the_way_to_grasp_it(scenes):
    thing, index = scenes.objects[0], 0
    for yaw in YAWS:
        turns, ends = [], []
        for change in np.linspace(-YAW_SPREAD, YAW_SPREAD, 7):
            pose = scenes._rest(thing, np.array([-0.16, 0.02]), yaw + change)
            start = scenes.start_yaw
            grasp = plan_grasp(thing, pose, scenes.spec, scenes.table_in_base, start_yaw=start, yaw=start)
            turns.append(grasp.yaw - start)
            ends.append(scenes._ends(index, pose))
        assert np.ptp(turns) < 2 * YAW_SPREAD + 0.3
        assert np.abs(np.diff(ends, axis=0)).max() < 0.015
        middle, first, second = ends[3]
        assert 0.05 < np.linalg.norm(first - middle) < 0.08  # the carrot is 12 cm long
        assert first - middle == pytest.approx(middle - second)


def test_round_things_have_no_ends(scenes):
    ball = next(i for i, thing in enumerate(scenes.objects) if thing.name == "golf ball")
    ends = scenes._ends(ball, scenes._rest(scenes.objects[ball], np.array([-0.16, 0.02]), 0.0))
    assert np.isfinite(ends[0]).all()
    assert np.isnan(ends[1:]).all()


def test_named_things_are_where_the_pixels_say(scenes, some):
    """Around the named object's pixel the image is not the table's, unless the arm stands before it."""
    tables = [table.image(64, 64).astype(int) for table in scenes.tables]
    shown = []
    for scene in some:
        assert np.nanmin(scene.pixels) > 2
        assert np.nanmax(scene.pixels) < 62
        name = next(thing.name for thing in scenes.objects if thing.name in scene.instruction)
        u, v = scene.pixels[scenes.point_names.index(name)].round().astype(int)
        image = scene.image.astype(int)
        here = min(tables, key=lambda table: np.median(np.abs(table - image)))
        if np.median(np.abs(here - image)) < 1:  # a table as it is; half of them are changed
            shown.append(np.abs(image - here)[v - 1 : v + 2, u - 1 : u + 2].mean() > 10)
    assert len(shown) > 20
    assert np.mean(shown) >= 0.9
