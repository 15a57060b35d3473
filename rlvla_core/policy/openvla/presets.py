"""Named sizes of OpenVLA: the public 7B, and `tiny`, which trains on a CPU."""

from pathlib import Path

from rlvla_core.policy.model import Preset
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.config import DINOV2_LARGE, SIGLIP_SO400M, OpenVLAConfig, TextConfig, TowerConfig
from rlvla_core.policy.tokenizer import tiny_tokenizer

TINY_BASE = Path(__file__).parents[1] / "data" / "tiny_base"
"""Directory of the shipped bundle: `tiny` after `rlvla pretrain`. It sees, but was never shown an action, and belongs
to no robot or camera."""


def tiny() -> OpenVLAConfig:
    """Sizes of `tiny`: OpenVLA's whole graph in 0.8 million weights, 64 x 64 pixels, 64 patches. It trains on a CPU.

    Decoding is parallel. That costs the same here, but small policies cloned from demonstrations read the phase of the
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
    """Sizes of the public checkpoint openvla-7b: DINOv2 ViT-L/14, SigLIP so400m/14 and Llama-2-7B.

    It holds 982 tensors, 7,541,237,184 values.
    """
    return OpenVLAConfig(
        dino=DINOV2_LARGE,
        siglip=SIGLIP_SO400M,
        text=TextConfig(vocab_size=32064),
        pad_token_id=32000,
        norm_stats={"bridge_orig": BRIDGE_ORIG},
    )


PRESETS = {"tiny": Preset(config=tiny, tokenizer=tiny_tokenizer), "openvla-7b": Preset(config=openvla_7b)}
