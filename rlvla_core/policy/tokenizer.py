"""Instructions to token ids: the prompt, its cache, and left-padded batches.

Nothing here knows a token id: the empty token and BOS are asked of the tokenizer file, padding of the configuration.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import Tokenizer

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.grammar import PROMPT, SPACE, TINY_TOKENIZER_FILE


class PromptTokenizer:
    """A tokenizer.json and OpenVLA's prompt around an instruction."""

    def __init__(self, tokenizer: Tokenizer) -> None:
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
        """Ids of the whole prompt: BOS first, the empty token last. Cached for each instruction."""
        ids = self._cache.get(instruction)
        if ids is None:
            if not instruction.strip():
                raise RlvlaError("an instruction is empty: say what the robot should do")
            ids = tuple(self._tokenizer.encode(PROMPT.format(instruction=instruction.lower())).ids)
            self._cache[instruction] = ids
        return ids

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that `ids` stand for, without specials."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def batch(
        self, instructions: Sequence[str], pad_token_id: int, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Left-padded ids and mask, int64 [B, T] each, with every BOS in column 0: [BOS, pad .., prompt].

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
    """The tokenizer that ships with the package."""
    return PromptTokenizer.from_file(TINY_TOKENIZER_FILE)
