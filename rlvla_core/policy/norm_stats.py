"""Action statistics: which metres and radians the ends -1 and +1 of a normalised action stand for."""

import math
from dataclasses import dataclass
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.strict import convert


@dataclass(frozen=True, kw_only=True, slots=True)
class NormStats:
    """Quantiles (1 % and 99 %) of each action dimension, which are mapped to -1 and +1.

    Raises RlvlaError for unequal lengths, for numbers that are not finite, and where a normalised dimension has
    q01 >= q99.
    """

    q01: tuple[float, ...]
    """Values that are mapped to -1: metres, radians, gripper opening 0..1."""
    q99: tuple[float, ...]
    """Values that are mapped to +1, in the same units."""
    mask: tuple[bool, ...]
    """True where the dimension is normalised. The gripper is usually not: its token is read as it is."""

    def __post_init__(self) -> None:
        if not len(self.q01) == len(self.q99) == len(self.mask):
            raise RlvlaError(
                f"action statistics need equal lengths, got q01 {len(self.q01)}, q99 {len(self.q99)}, "
                f"mask {len(self.mask)}: compute them again with `rlvla collect`"
            )
        for name, values in (("q01", self.q01), ("q99", self.q99)):
            if not all(map(math.isfinite, values)):
                raise RlvlaError(
                    f"action statistics have {name} {list(values)}: every number must be finite, so compute them again "
                    "with `rlvla collect`"
                )
        for index, (low, high, used) in enumerate(zip(self.q01, self.q99, self.mask, strict=True)):
            if used and not high > low:
                raise RlvlaError(
                    f"action dimension {index} has q01 {low} and q99 {high}: it needs q01 < q99, "
                    "so collect demonstrations that move it, or set its mask to false"
                )

    def to_json(self) -> dict[str, Any]:
        """These statistics as plain lists, under the names that OpenVLA's own files use."""
        return {"q01": list(self.q01), "q99": list(self.q99), "mask": list(self.mask)}

    @classmethod
    def from_json(cls, data: object) -> "NormStats":
        """Read `to_json` output or OpenVLA's `{"action": {...}}`. Without a mask all dimensions are normalised.

        Raises RlvlaError for quantiles that are missing or no list of finite numbers, and for a mask that is no list of
        truth values.
        """
        data = data.get("action", data) if isinstance(data, dict) else data
        if not isinstance(data, dict):
            raise RlvlaError(f"action statistics are {data!r:.60}: write an object with the lists q01, q99 and mask")
        missing = [name for name in ("q01", "q99") if name not in data]
        if missing:
            raise RlvlaError(f"action statistics lack {', '.join(missing)}: compute them again with `rlvla collect`")
        try:
            q01, q99 = (convert(tuple[float, ...], data[name], name) for name in ("q01", "q99"))
        except RlvlaError as error:
            raise RlvlaError(f"action statistics: {error}; `rlvla collect` computes them again") from None
        mask = data.get("mask") or [True] * len(q01)
        if not isinstance(mask, list) or any(entry not in (True, False) for entry in mask):
            raise RlvlaError(f"action statistics have mask {mask!r:.60}: write a list of true and false")
        return cls(q01=q01, q99=q99, mask=tuple(map(bool, mask)))


BRIDGE_ORIG = NormStats(
    q01=(
        -0.02872725307941437,
        -0.04170349963009357,
        -0.026093858778476715,
        -0.08092105075716972,
        -0.09288699507713317,
        -0.20718276381492615,
        0.0,
    ),
    q99=(
        0.028309678435325586,
        0.040855254605412394,
        0.040161586627364146,
        0.08192047759890528,
        0.07792850524187081,
        0.20382574498653397,
        1.0,
    ),
    mask=(True, True, True, True, True, True, False),
)
"""Action statistics of BridgeData V2 that openvla-7b was trained with (its `unnorm_key` bridge_orig)."""
