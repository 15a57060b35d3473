"""The action codec against closed forms and against numbers of the 7B model's own tables."""

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.norm_stats import BRIDGE_ORIG, NormStats
from rlvla_core.policy.openvla.presets import openvla_7b, tiny


@pytest.fixture
def codec() -> ActionCodec:
    return ActionCodec(openvla_7b(), BRIDGE_ORIG)


def test_the_7b_action_tokens_are_the_last_256_of_the_text_vocabulary(codec: ActionCodec) -> None:
    assert (codec.token_begin, codec.token_end) == (31744, 32000)


def test_values_fall_into_intervals_counted_from_the_end(codec: ActionCodec) -> None:
    values = torch.tensor([-1.0, -5.0, 1.0, 5.0, 0.0, -1 + 2 / 255 + 1e-6, 0.9999])
    # digitize: -1 opens interval 1; 1 is an edge of its own, 256; 0 lies inside interval 128.
    expected = 32000 - torch.tensor([1, 1, 256, 256, 128, 2, 255])
    assert torch.equal(codec.tokens_of_values(values), expected)


def test_tokens_decode_to_interval_centres_and_the_two_lowest_alike(codec: ActionCodec) -> None:
    tokens = torch.arange(31744, 32000)
    k = (32000 - tokens - 1).clamp(0, 254).double()
    torch.testing.assert_close(codec.values_of_tokens(tokens), -1 + (2 * k + 1) / 255, rtol=0, atol=1e-12)
    assert codec.values_of_tokens(tokens[0]) == codec.values_of_tokens(tokens[1])


def test_a_low_token_is_a_high_value(codec: ActionCodec) -> None:
    values = codec.values_of_tokens(torch.arange(31745, 32000))
    assert (values.diff() < 0).all()


def test_encode_then_decode_returns_the_action_within_half_an_interval(codec: ActionCodec) -> None:
    generator = torch.Generator().manual_seed(0)
    low, high = torch.tensor(BRIDGE_ORIG.q01[:6]), torch.tensor(BRIDGE_ORIG.q99[:6])
    actions = torch.empty(500, 7)
    actions[:, :6] = low + torch.rand(500, 6, generator=generator) * (high - low)
    actions[:, 6] = torch.randint(0, 2, (500,), generator=generator) * 2.0 - 1.0
    decoded = codec.decode(codec.encode(actions))
    assert torch.equal(decoded[:, 6], actions[:, 6])
    assert ((decoded - actions)[:, :6].abs() <= (high - low) / 255 / 2 + 1e-7).all()


def test_the_gripper_opens_above_one_half(codec: ActionCodec) -> None:
    tokens = torch.full((2, 7), 31872)
    tokens[:, 6] = codec.tokens_of_values(torch.tensor([0.51, 0.49]))
    assert codec.decode(tokens)[:, 6].tolist() == [1.0, -1.0]


def test_bins_are_columns_of_the_action_logits() -> None:
    config = tiny()
    codec = ActionCodec(config, BRIDGE_ORIG)
    bins = torch.arange(config.n_action_bins)
    tokens = codec.token_of(bins)
    assert tokens[-1] == config.text.vocab_size - config.pad_to_multiple_of - 1
    assert torch.equal(codec.bin_of(tokens), bins)


def test_statistics_that_would_divide_by_zero_are_refused() -> None:
    with pytest.raises(RlvlaError, match=r"dimension 1 has q01 0\.5"):
        NormStats(q01=(0.0, 0.5), q99=(1.0, 0.5), mask=(True, True))


def test_statistics_survive_json_and_an_absent_mask_means_all() -> None:
    assert NormStats.from_json(BRIDGE_ORIG.to_json()) == BRIDGE_ORIG
    assert NormStats.from_json({"action": {"q01": [0, 1], "q99": [1, 2]}}).mask == (True, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q99": [1.0, float("inf")]}, r"`q99\[1\]` is inf: write a finite number"),
        ({"q01": [0.0, None]}, r"`q01\[1\]` is None: write a finite number"),
        ({"q01": ["0,04", 0.0]}, r"`q01\[0\]` is '0,04': write a finite number"),
        ({"q99": 3}, r"`q99` is 3: write a list"),
        ({"mask": [True, "no"]}, r"mask \[True, 'no'\]: write a list of true and false"),
        ({"action": [1]}, r"action statistics are \[1\]: write an object"),
    ],
)
def test_statistics_that_are_no_finite_numbers_are_one_line(change, message) -> None:
    data = {"q01": [0.0, 0.0], "q99": [1.0, 1.0], "mask": [True, True]}
    with pytest.raises(RlvlaError, match=message):
        NormStats.from_json({**data, **change})


def test_statistics_that_are_computed_must_be_finite_as_well() -> None:
    with pytest.raises(RlvlaError, match=r"q99 .* must be finite"):
        NormStats(q01=(0.0,), q99=(float("inf"),), mask=(True,))
