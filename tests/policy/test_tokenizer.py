"""The prompt, the shipped tokenizer and left-padded batches."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.openvla.presets import tiny
from rlvla_core.policy.tokenizer import PROMPT, TINY_TOKENIZER_FILE, PromptTokenizer, tiny_tokenizer

TRAINER = Path(__file__).resolve().parents[2] / "scripts" / "tiny_tokenizer.py"


def test_the_shipped_file_is_what_the_grammar_gives() -> None:
    shipped = json.loads(TINY_TOKENIZER_FILE.read_text(encoding="utf-8"))
    fresh = json.loads(runpy.run_path(str(TRAINER))["build_tiny_tokenizer"]().to_str())
    for part in ("model", "added_tokens"):
        assert shipped[part] == fresh[part]


def test_a_prompt_begins_with_bos_and_ends_with_the_empty_token() -> None:
    tokenizer, config = tiny_tokenizer(), tiny()
    ids = tokenizer.prompt_ids("put carrot on plate")
    assert ids[0] == config.text.bos_token_id
    assert ids[-1] == tokenizer.empty_token_id
    assert max(ids) < config.action_token_begin < config.action_token_end == config.pad_token_id


@pytest.mark.parametrize("text", ["put carrot on plate", "put the zucchini onto plate.", "ça va? 7up → Ω", "a\tb"])
def test_any_text_survives_encoding(text: str) -> None:
    tokenizer = tiny_tokenizer()
    decoder = Tokenizer.from_str(tokenizer.to_json())
    decoded = decoder.decode(list(tokenizer.prompt_ids(text)), skip_special_tokens=True)
    assert decoded == PROMPT.format(instruction=text.lower())


def test_case_does_not_matter() -> None:
    assert tiny_tokenizer().prompt_ids("Put CARROT on Plate") == tiny_tokenizer().prompt_ids("put carrot on plate")


def test_a_batch_keeps_bos_in_front_of_the_padding() -> None:
    tokenizer = tiny_tokenizer()
    sentences = ["put carrot on plate", "move the golf ball from the table to the cutting board"]
    ids, mask = tokenizer.batch(sentences, pad_token_id=999)
    short, long = (tokenizer.prompt_ids(sentence) for sentence in sentences)
    gap = len(long) - len(short)
    assert ids[0].tolist() == [short[0], *[999] * gap, *short[1:]]
    assert mask[0].tolist() == [1, *[0] * gap, *[1] * (len(short) - 1)]
    assert ids[1].tolist() == list(long)
    assert mask[1].all()
    assert ids.dtype == torch.int64


def test_an_empty_instruction_is_refused() -> None:
    with pytest.raises(RlvlaError, match="instruction is empty"):
        tiny_tokenizer().prompt_ids("  ")


def test_a_damaged_tokenizer_file_is_one_line(tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{")
    with pytest.raises(RlvlaError, match="is not a tokenizer"):
        PromptTokenizer.from_file(path)
