"""Learning: supervised warm-up, PPO, GRPO and DPO for Vision-Language-Action policies, on one or many ranks."""
