"""The two sizes of the one model."""

from collections.abc import Callable
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.config import DINOV2_LARGE, SIGLIP_SO400M, OpenVLAConfig, TextConfig, TowerConfig
from rlvla_core.policy.tokenizer import tiny_tokenizer

TINY_BASE = Path(__file__).parent / "data" / "tiny_base"
"""Bundle of `tiny` after `rlvla pretrain`: it sees, and has never been shown an action. Belongs to no world."""


def tiny() -> OpenVLAConfig:
    """The whole graph in 0.8 million weights: 64 x 64 image, 64 patches. Learns on a CPU.

    Decoding is parallel. It costs the same here, but small policies cloned from demonstrations read the phase of the
    task off their own previous tokens when they may, and that fails as soon as the tokens are sampled.
    """
    text_vocabulary = tiny_tokenizer().vocabulary_size
    padding = 64
    tower = TowerConfig(
        image_size=64,
        patch_size=8,
        width=64,
        depth=3,
        heads=2,
        mlp_hidden=256,
        class_token=True,
        registers=1,
        layer_scale=True,
    )
    return OpenVLAConfig(
        dino=tower,
        siglip=TowerConfig(
            image_size=64,
            patch_size=8,
            width=64,
            depth=3,
            heads=2,
            mlp_hidden=256,
            class_token=False,
            attention_pool=True,
        ),
        text=TextConfig(
            vocab_size=text_vocabulary + padding,
            hidden_size=96,
            intermediate_size=192,
            num_hidden_layers=3,
            num_attention_heads=3,
            max_position_embeddings=512,
        ),
        pad_token_id=text_vocabulary,
        pad_to_multiple_of=padding,
        projector_hidden=192,
        decoding="parallel",
    )


def openvla_7b() -> OpenVLAConfig:
    """The public checkpoint: DINOv2 ViT-L/14, SigLIP so400m/14 and Llama-2-7B, 982 tensors, 7,541,237,184 values."""
    return OpenVLAConfig(
        dino=DINOV2_LARGE,
        siglip=SIGLIP_SO400M,
        text=TextConfig(vocab_size=32064),
        pad_token_id=32000,
        norm_stats={"bridge_orig": BRIDGE_ORIG},
    )


PRESETS: dict[str, Callable[[], OpenVLAConfig]] = {"tiny": tiny, "openvla-7b": openvla_7b}


def preset(name: str) -> OpenVLAConfig:
    """The configuration called `name`. Raises RlvlaError that lists the names."""
    if name not in PRESETS:
        raise RlvlaError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
