"""Instructions to token ids: OpenVLA's prompt, a cache of ids, and left-padded batches.

No token id is written down here: the empty token and BOS are read from the tokenizer file, padding from config.json.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import Tokenizer

from rlvla_core.errors import RlvlaError

PROMPT = "In: What action should the robot take to {instruction}?\nOut: "
"""OpenVLA's prompt. The trailing space becomes a lone "▁" token: the empty token, whose state predicts the action."""
SPACE = "▁"
"""A space, as sentencepiece's vocabularies write it."""
TINY_TOKENIZER_FILE = Path(__file__).parent / "data" / "tiny_tokenizer.json"
"""The tokenizer of `tiny`, written by scripts/tiny_tokenizer.py."""


class PromptTokenizer:
    """Puts OpenVLA's prompt around instructions and turns it into ids by a tokenizer.json."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises RlvlaError for a tokenizer that has no empty token at the end of a prompt."""
        self._tokenizer = tokenizer
        empty = tokenizer.token_to_id(SPACE)
        probe = tokenizer.encode(" ").ids
        if empty is None or not probe or probe[-1] != empty:
            raise RlvlaError(f"the tokenizer has no lone {SPACE!r} token at the end of a prompt: use Llama's own file")
        self.empty_token_id: int = empty
        """The last prompt token; its final hidden state predicts the first action token."""
        self._cache: dict[str, tuple[int, ...]] = {}

    @classmethod
    def from_file(cls, path: Path) -> "PromptTokenizer":
        """Load a tokenizer.json. Raises RlvlaError if it is missing or damaged."""
        if not path.is_file():
            raise RlvlaError(f"{path} is missing: a policy directory needs its tokenizer.json")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except RlvlaError:
            raise
        except Exception as error:  # the Rust library raises bare Exception
            raise RlvlaError(f"{path} is not a tokenizer: {error}") from error

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, action tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def to_json(self) -> str:
        """The content of a tokenizer.json."""
        return self._tokenizer.to_str()

    def prompt_ids(self, instruction: str) -> tuple[int, ...]:
        """Ids of the prompt around an instruction: BOS first, the empty token last. Lower case; cached.

        Raises RlvlaError for an empty instruction.
        """
        ids = self._cache.get(instruction)
        if ids is None:
            if not instruction.strip():
                raise RlvlaError("an instruction is empty: say what the robot should do")
            ids = tuple(self._tokenizer.encode(PROMPT.format(instruction=instruction.lower())).ids)
            self._cache[instruction] = ids
        return ids

    def batch(
        self, instructions: Sequence[str], pad_token_id: int, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Left-padded ids and mask (0 for padding), int64 [B, T] each: [BOS, padding .., rest of the prompt].

        The image is inserted after column 0, so BOS must come before the padding.
        """
        numbers = {instruction: number for number, instruction in enumerate(dict.fromkeys(instructions))}
        rows = [self.prompt_ids(instruction) for instruction in numbers]  # a batch says the same thing many times
        width = max(len(row) for row in rows)
        ids = [[row[0], *[pad_token_id] * (width - len(row)), *row[1:]] for row in rows]
        mask = [[1, *[0] * (width - len(row)), *[1] * (len(row) - 1)] for row in rows]
        chosen = torch.tensor([numbers[instruction] for instruction in instructions])
        return torch.tensor(ids)[chosen].to(device), torch.tensor(mask)[chosen].to(device)


@lru_cache(maxsize=1)
def tiny_tokenizer() -> PromptTokenizer:
    """The tokenizer of `tiny`, which ships with the package. Loaded once."""
    return PromptTokenizer.from_file(TINY_TOKENIZER_FILE)
