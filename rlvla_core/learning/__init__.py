"""Learning: supervised warm-up and PPO for Vision-Language-Action policies, on one or many ranks."""
