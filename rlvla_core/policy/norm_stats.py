"""Action statistics: what one unit of a normalised action means in metres and radians."""

from dataclasses import dataclass
from typing import Any

from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True, slots=True)
class NormStats:
    """1 % and 99 % quantiles of each action dimension; they are mapped to -1 and +1."""

    q01: tuple[float, ...]
    """Mapped to -1. Metres, radians, gripper opening 0..1."""
    q99: tuple[float, ...]
    """Mapped to +1."""
    mask: tuple[bool, ...]
    """True where the dimension is normalised. The gripper is usually not: its token is read as it is."""

    def __post_init__(self) -> None:
        if not len(self.q01) == len(self.q99) == len(self.mask):
            raise RlvlaError(
                f"action statistics need equal lengths, got q01 {len(self.q01)}, q99 {len(self.q99)}, "
                f"mask {len(self.mask)}: compute them again with `rlvla collect`"
            )
        for index, (low, high, used) in enumerate(zip(self.q01, self.q99, self.mask, strict=True)):
            if used and not high > low:
                raise RlvlaError(
                    f"action dimension {index} has q01 {low} and q99 {high}: it needs q01 < q99, "
                    "so collect demonstrations that move it, or set its mask to false"
                )

    def to_json(self) -> dict[str, Any]:
        """Plain lists, in the field names that OpenVLA's own files use."""
        return {"q01": list(self.q01), "q99": list(self.q99), "mask": list(self.mask)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "NormStats":
        """Read `to_json` output or OpenVLA's `{"action": {...}}`. An absent mask means that all dimensions count."""
        data = data.get("action", data)
        missing = [name for name in ("q01", "q99") if name not in data]
        if missing:
            raise RlvlaError(f"action statistics lack {', '.join(missing)}: compute them again with `rlvla collect`")
        q01 = tuple(float(x) for x in data["q01"])
        q99 = tuple(float(x) for x in data["q99"])
        mask = tuple(bool(x) for x in data.get("mask") or [True] * len(q01))
        return cls(q01=q01, q99=q99, mask=mask)


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
"""BridgeData V2 as openvla-7b was trained on it (`unnorm_key` bridge_orig)."""
