"""Numbers and devices of a command line: what no option can have is refused before anything starts."""

import dataclasses
import math
from pathlib import Path

import pytest

from rlvla import cli
from rlvla.option_numbers import LARGEST, check_numbers
from rlvla_core.errors import RlvlaError


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train ppo --policy p --ppo.lr nan", "ppo.lr must be a finite number, got nan"),
        ("train ppo --policy p --ppo.minutes -1", "ppo.minutes must be at least 0, got -1.0"),
        ("train ppo --policy p --ppo.seed -1", "ppo.seed must be at least 0, got -1"),
        (
            "train ppo --policy p --ppo.entropy-coefficient inf",
            "ppo.entropy_coefficient must be a finite number, got inf",
        ),
        ("train grpo --policy p --grpo.weight-decay nan", "grpo.weight_decay must be a finite number, got nan"),
        ("train dpo --policy p --dpo.beta nan", "dpo.beta must be a finite number, got nan"),
        ("train ppo --policy p --ppo.num-envs 1000000000", "--ppo.num-envs 1000000000: use 65536 or less"),
        ("train ppo --policy p --ranks -2", "--ranks -2: use 0 or more"),
        ("train ppo --policy p --ranks 12", "64 environments cannot be divided evenly over 12 ranks: use a multiple"),
        ("train sft --data d --sft.lr nan", "sft.lr must be positive and finite, got nan"),
        (
            "train sft --data d --sft.localisation-weight -1",
            "sft.localisation_weight must be 0 or more, and finite, got -1.0",
        ),
        ("train sft --data d --episodes -3", "--episodes -3: use 0 or more"),
        ("evaluate b --temperature nan", "--temperature nan: use a finite number"),
        ("evaluate b --seed -1", "--seed -1: use 0 or more"),
        ("study tests b --temperatures 0 -0.6", "--temperatures -0.6: use 0 or more"),
        ("demo --minutes nan", "--minutes nan: use a finite number"),
        ("collect --seed -1", "--seed -1: use 0 or more"),
        ("run --bundle b --camera-hz nan", "--camera-hz nan: use a finite number"),
        ("run --bundle b --sim.table-penetration-m -1", "--sim.table-penetration-m -1.0: use 0 or more"),
    ],
)
def test_a_number_that_no_option_can_have_is_one_line(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line.split()) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    "line",
    [
        "train ppo --policy p --ranks 1",
        "train ppo --policy p",
        "train sft --data d --ranks 1",
        "train sft --data d",
        "pretrain",
        "evaluate b",
        "study tests b",
    ],
)
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("banana", "unknown device `banana`: use cpu or cuda"),
        ("cuda", "device `cuda` needs an NVIDIA GPU that torch can see: use device cpu"),
        ("cuda:one", "unknown device `cuda:one`: use cpu or cuda"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(
    line: str, device: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert cli.main([*line.split(), "--device", device]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_study_on_a_gpu_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["study", "--plan-only", "--sft-device", "cuda"]) == 1
    assert capsys.readouterr().err == "error: device `cuda` needs an NVIDIA GPU that torch can see: use device cpu\n"


def test_numbers_at_the_limits_pass_and_names_of_merged_options_have_no_prefix() -> None:
    @dataclasses.dataclass
    class Inner:
        num_envs: int = LARGEST["num_envs"]
        rate: float = 0.0

    @dataclasses.dataclass
    class Command:
        inner: Inner = dataclasses.field(default_factory=Inner)
        flag: bool = True
        name: str | None = None

    check_numbers(Command())
    with pytest.raises(RlvlaError, match=r"^--inner\.rate nan: use a finite number$"):
        check_numbers(Command(inner=Inner(rate=math.nan)))
