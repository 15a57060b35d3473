"""Every size of the model, read from and written to OpenVLA's own config.json.

The public 7B file leaves most sizes out: the towers are named by `vision_backbone_id`, the Llama by library defaults.
Both are resolved here once, so that the rest of the code never guesses.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.model import VLAConfig
from rlvla_core.policy.norm_stats import NormStats

Decoding = Literal["autoregressive", "parallel"]
"""How seven action tokens are predicted: one after the other, or all in one pass; see `decode.py`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TowerConfig:
    """Sizes of one vision transformer. Its features come from block `depth - 2`; the last block is never used."""

    image_size: int
    """Side of the square input image, pixels."""
    patch_size: int
    """Side of a patch, pixels."""
    width: int
    """Width of the patch features."""
    depth: int
    """Number of blocks in the checkpoint, the unused last one included."""
    heads: int
    """Attention heads of a block."""
    mlp_hidden: int
    """Width of the hidden layer of a block's MLP."""
    class_token: bool
    """Whether a class token stands in front of the patches."""
    registers: int = 0
    """Number of register tokens in front of the patches."""
    layer_scale: bool = False
    """Whether each residual branch has a learned factor per channel."""
    attention_pool: bool = False
    """Whether the checkpoint holds an attention pooling head (the forward pass never uses it)."""

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size or self.width % self.heads or self.depth < 2:
            raise RlvlaError(
                f"vision tower: image {self.image_size} must be a multiple of patch {self.patch_size}, width "
                f"{self.width} of heads {self.heads}, and depth {self.depth} at least 2"
            )

    @property
    def patches(self) -> int:
        """Number of patches P of an image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def prefix_tokens(self) -> int:
        """Number of class and register tokens: they stand in front of the patches and are dropped from the features."""
        return int(self.class_token) + self.registers

    @property
    def live_blocks(self) -> int:
        """Number of blocks that the features depend on."""
        return self.depth - 1

    @classmethod
    def from_timm(cls, data: Mapping[str, Any], name: str) -> "TowerConfig":
        """Read timm's constructor arguments, as a fixture or bundle stores them under `tiny_vit`.

        name: which tower, for the errors. Raises RlvlaError for a missing size or an unsupported class token.
        """
        try:
            class_token = bool(data.get("class_token", True))
            registers = int(data.get("reg_tokens", 0))
            if class_token and not data.get("no_embed_class", False):
                raise RlvlaError(f"vision tower {name}: a position embedding for the class token is not supported")
            return cls(
                image_size=int(data["img_size"]),
                patch_size=int(data["patch_size"]),
                width=int(data["embed_dim"]),
                depth=int(data["depth"]),
                heads=int(data["num_heads"]),
                mlp_hidden=int(data.get("mlp_hidden") or int(data["embed_dim"] * data.get("mlp_ratio", 4.0))),
                class_token=class_token,
                registers=registers,
                layer_scale=bool(data.get("init_values")),
                attention_pool=data.get("global_pool") == "map",
            )
        except KeyError as missing:
            raise RlvlaError(f"config.json: vision tower {name} lacks {missing}") from None

    def to_timm(self) -> dict[str, Any]:
        """These sizes as timm's constructor arguments, which `from_timm` reads."""
        return {
            "img_size": self.image_size,
            "patch_size": self.patch_size,
            "embed_dim": self.width,
            "depth": self.depth,
            "num_heads": self.heads,
            "mlp_hidden": self.mlp_hidden,
            "class_token": self.class_token,
            "no_embed_class": True,
            "reg_tokens": self.registers,
            "init_values": 1e-5 if self.layer_scale else None,
            "global_pool": "map" if self.attention_pool else "token",
        }


DINOV2_LARGE = TowerConfig(
    image_size=224,
    patch_size=14,
    width=1024,
    depth=24,
    heads=16,
    mlp_hidden=4096,
    class_token=True,
    registers=4,
    layer_scale=True,
)
"""Sizes of DINOv2 ViT-L/14 with four registers."""

SIGLIP_SO400M = TowerConfig(
    image_size=224,
    patch_size=14,
    width=1152,
    depth=27,
    heads=16,
    mlp_hidden=4304,
    class_token=False,
    attention_pool=True,
)
"""Sizes of SigLIP so400m/14."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """Sizes of the Llama, named as transformers names them.

    Defaults are those of transformers' LlamaConfig (= Llama-2-7B), because OpenVLA's file relies on them.
    """

    vocab_size: int = 32000
    """Rows of the token embedding, padding rows included."""
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    """Heads of keys and values. None: as many as attention heads."""
    rms_norm_eps: float = 1e-6
    """The library default, which all of OpenVLA's published numbers use, though Meta's own value is 1e-5."""
    rope_theta: float = 10000.0
    max_position_embeddings: int = 2048
    bos_token_id: int = 1
    eos_token_id: int = 2

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def kv_heads(self) -> int:
        """Number of heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TextConfig":
        """Read `text_config` of config.json. Raises RlvlaError for a Llama variant that this graph does not have."""
        plain = {"hidden_act": "silu", "rope_scaling": None, "tie_word_embeddings": False, "attention_bias": False}
        for key, value in plain.items():
            if data.get(key, value) != value:
                raise RlvlaError(f"config.json: text_config.{key} = {data[key]!r} is not supported, only {value!r}")
        known = {name: data[name] for name in cls.__dataclass_fields__ if data.get(name) is not None}
        config = cls(**known)
        if data.get("head_dim", config.head_dim) not in (None, config.head_dim):
            raise RlvlaError(f"config.json: text_config.head_dim = {data['head_dim']} is not hidden_size / heads")
        return config


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenVLAConfig(VLAConfig):
    """All sizes of an OpenVLA model, and how it decodes."""

    dino: TowerConfig
    """First tower (`vision_backbone.featurizer`): reads channels 0-2, gives the first part of the features."""
    siglip: TowerConfig
    """Second tower (`vision_backbone.fused_featurizer`): reads channels 3-5."""
    text: TextConfig
    """The Llama."""
    projector_hidden: int | None = None
    """Width of the projector's first layer. None: four times the feature width, as in OpenVLA."""
    pad_to_multiple_of: int = 64
    """Padding rows at the end of the vocabulary; the action tokens end where these rows begin."""
    image_resize_strategy: str = "resize-naive"
    """OpenVLA's name for how an image becomes square: `resize-naive` (stretched) or `letterbox` (grey bars)."""
    decoding: Decoding = "autoregressive"
    """autoregressive: each action token sees the ones before it (OpenVLA). parallel: the six further positions are fed
    the empty token, so that one forward pass gives all seven."""

    def __post_init__(self) -> None:
        VLAConfig.__post_init__(self)
        if self.dino.patches != self.siglip.patches or self.dino.image_size != self.siglip.image_size:
            raise RlvlaError(
                f"both vision towers need the same image and patch grid, got {self.dino.image_size}/"
                f"{self.dino.patch_size} and {self.siglip.image_size}/{self.siglip.patch_size}"
            )
        if self.image_resize_strategy not in ("resize-naive", "letterbox"):
            raise RlvlaError(f"image_resize_strategy {self.image_resize_strategy!r}: use resize-naive or letterbox")
        if self.decoding not in get_args(Decoding):
            raise RlvlaError(f"decoding {self.decoding!r}: use autoregressive or parallel")

    @property
    def model_type(self) -> str:
        return "openvla"

    @property
    def image_size(self) -> int:
        return self.dino.image_size

    @property
    def patches(self) -> int:
        """Number of patches P of an image."""
        return self.dino.patches

    @property
    def feature_width(self) -> int:
        """Width of the two towers' concatenated features."""
        return self.dino.width + self.siglip.width

    @property
    def projector_width(self) -> int:
        """Width of the projector's first layer."""
        return self.projector_hidden or 4 * self.feature_width

    @property
    def hidden_size(self) -> int:
        return self.text.hidden_size

    @property
    def vocabulary_size(self) -> int:
        return self.text.vocab_size

    @property
    def bos_token_id(self) -> int:
        return self.text.bos_token_id

    @property
    def action_token_end(self) -> int:
        return self.text.vocab_size - self.pad_to_multiple_of

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "OpenVLAConfig":
        """Read the content of OpenVLA's config.json. Raises RlvlaError for towers or a Llama that this graph lacks."""
        towers = data.get("tiny_vit")
        if towers:
            dino, siglip = (TowerConfig.from_timm(towers[name], name) for name in ("featurizer", "fused_featurizer"))
        elif data.get("vision_backbone_id") == "dinosiglip-vit-so-224px":
            dino, siglip = DINOV2_LARGE, SIGLIP_SO400M
        else:
            raise RlvlaError(
                f"config.json: vision_backbone_id {data.get('vision_backbone_id')!r} is unknown; "
                "supported: dinosiglip-vit-so-224px, or tower sizes under `tiny_vit`"
            )
        text = TextConfig.from_json(data.get("text_config", {}))
        own = data.get("rlvla", {})
        return cls(
            dino=dino,
            siglip=siglip,
            text=text,
            pad_token_id=int(data.get("pad_token_id", 32000)),
            projector_hidden=own.get("projector_hidden"),
            pad_to_multiple_of=int(data.get("pad_to_multiple_of", 64)),
            n_action_bins=int(data.get("n_action_bins", 256)),
            image_resize_strategy=data.get("image_resize_strategy", "resize-naive"),
            norm_stats={name: NormStats.from_json(stats) for name, stats in (data.get("norm_stats") or {}).items()},
            value_hidden=tuple(own.get("value_hidden", (512, 128))),
            critic_input=own.get("critic_input", "first"),
            decoding=own.get("decoding", "autoregressive"),
        )

    def to_json(self) -> dict[str, Any]:
        """The content of config.json, which `from_json` reads. What OpenVLA's file does not know: under `rlvla`."""
        data: dict[str, Any] = {
            "model_type": self.model_type,
            "arch_specifier": "no-align+fused-gelu-mlp",
            "use_fused_vision_backbone": True,
            "vision_backbone_id": "dinosiglip-vit-so-224px",
            "image_sizes": [self.image_size, self.image_size],
            "image_resize_strategy": self.image_resize_strategy,
            "n_action_bins": self.n_action_bins,
            "pad_to_multiple_of": self.pad_to_multiple_of,
            "pad_token_id": self.pad_token_id,
            "text_config": {"model_type": "llama", "pad_token_id": self.pad_token_id, **asdict(self.text)},
            "norm_stats": {name: {"action": stats.to_json()} for name, stats in self.norm_stats.items()},
            "rlvla": {
                "decoding": self.decoding,
                "projector_hidden": self.projector_hidden,
                "value_hidden": list(self.value_hidden),
                "critic_input": self.critic_input,
            },
        }
        if (self.dino, self.siglip) != (DINOV2_LARGE, SIGLIP_SO400M):
            data["tiny_vit"] = {"featurizer": self.dino.to_timm(), "fused_featurizer": self.siglip.to_timm()}
        return data
