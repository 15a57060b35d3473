"""A damaged, foreign or incomplete dataset is one clear line that names the file."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fakes import SPEC, make_episode

from rlvla_core.data import Dataset, DatasetWriter
from rlvla_core.errors import RlvlaError

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
IMAGE = "observation.images.third_person"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    path = tmp_path_factory.mktemp("pristine") / "demos"
    with DatasetWriter(path, fps=5, robot="widowx250s", env_spec=SPEC) as writer:
        for seed in range(3):
            writer.add(make_episode(seed))
    return path


@pytest.fixture
def dataset(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "demos")


def refuses(path, *words):
    with pytest.raises(RlvlaError) as caught:
        Dataset.open(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def edit_info(path, **changes):
    file = path / "meta/info.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_column(path, name, values, type_=None):
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(values, type_)), path)


@pytest.mark.parametrize("name", [DATA, EPISODES, "meta/tasks.parquet"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "text"])
def test_damaged_parquet_is_named(dataset, name, damage):
    file = dataset / name
    if damage == "missing":
        file.unlink()
    else:
        content = {"truncated": file.read_bytes()[:-100], "empty": b"", "text": b"version https://git-lfs\n"}[damage]
        file.write_bytes(content)
    refuses(dataset, "meta/episodes" if name == EPISODES and damage == "missing" else name)


def test_bytes_flipped_in_an_image(dataset):
    table = pq.read_table(dataset / DATA)
    images = table[IMAGE].to_pylist()
    images[4]["bytes"] = images[4]["bytes"][:40]
    edit_column(dataset / DATA, IMAGE, images, table.schema.field(IMAGE).type)
    refuses(dataset, DATA, "damaged")


def test_an_image_outside_of_the_parquet_file(dataset):
    table = pq.read_table(dataset / DATA)
    images = [{"bytes": None, "path": "frame.png"}] * table.num_rows
    edit_column(dataset / DATA, IMAGE, images, table.schema.field(IMAGE).type)
    refuses(dataset, DATA, "outside of the parquet file")


def test_no_dataset_at_all(tmp_path):
    refuses(tmp_path / "nothing", "nothing/meta/info.json is missing")


def test_info_that_is_no_json(dataset):
    (dataset / "meta/info.json").write_text("{")
    refuses(dataset, "meta/info.json")


def test_an_older_version_names_the_converter(dataset):
    edit_info(dataset, codebase_version="v2.1")
    refuses(dataset, "v2.1", "convert_dataset_v21_to_v30")


def test_info_without_rate(dataset):
    edit_info(dataset, fps=0)
    refuses(dataset, "fps = 0")


def test_info_that_promises_more_than_there_is(dataset):
    edit_info(dataset, total_frames=19)
    refuses(dataset, "promises 3 episodes of 19 frames", "of 18")


def test_fewer_rows_than_the_episodes_say(dataset):
    pq.write_table(pq.read_table(dataset / DATA).slice(0, 17), dataset / DATA)
    refuses(dataset, "17 rows", "promises 18")


def test_episodes_in_another_order(dataset):
    edit_column(dataset / DATA, "episode_index", [1] * 6 + [0] * 6 + [2] * 6)
    refuses(dataset, "another order")


def test_a_task_that_has_no_sentence(dataset):
    edit_column(dataset / DATA, "task_index", [7] * 18)
    refuses(dataset, "task_index", "meta/tasks.parquet")


def test_actions_of_another_robot(dataset):
    info = json.loads((dataset / "meta/info.json").read_text())
    info["features"]["action"]["shape"] = [14]
    edit_info(dataset, features=info["features"])
    refuses(dataset, "[14]", "[7]")


def test_an_action_that_is_not_finite(dataset):
    actions = pq.read_table(dataset / DATA)["action"].to_pylist()
    actions[11][2] = float("nan")
    edit_column(dataset / DATA, "action", actions, pa.list_(pa.float32(), 7))
    refuses(dataset, "frame 11")


def test_a_path_that_leaves_the_dataset(dataset):
    shutil.copy(dataset / DATA, dataset.parent / "stolen.parquet")
    edit_info(dataset, data_path="../stolen.parquet")
    refuses(dataset, "outside of the dataset")


@pytest.mark.parametrize(
    "template",
    [
        "data/{chunk_index:2000000000d}/file-{file_index:03d}.parquet",
        "data/{chunk_index:{file_index}d}.parquet",
        "data/{chunk_index.__class__}.parquet",
        "data/{episode}.parquet",
        "data/{chunk_index",
        3,
    ],
)
def test_a_path_template_that_could_fill_the_memory_or_means_nothing(dataset, template):
    edit_info(dataset, data_path=template)
    refuses(dataset, "meta/info.json", "is not one of LeRobot's")


def test_two_cameras_need_a_choice(dataset):
    info = json.loads((dataset / "meta/info.json").read_text())
    info["features"]["observation.images.wrist"] = info["features"][IMAGE]
    edit_info(dataset, features=info["features"])
    refuses(dataset, "2 cameras", "third_person, wrist")
    assert Dataset.open(dataset, camera="third_person").num_frames == 18
    with pytest.raises(RlvlaError, match="no camera 'front'"):
        Dataset.open(dataset, camera="front")


def test_missing_statistics(dataset):
    (dataset / "meta/norm_stats.json").unlink()
    with pytest.raises(RlvlaError, match=r"norm_stats\.json is missing"):
        Dataset.open(dataset).norm_stats()
