"""Training of vision-language-action policies: supervised warm-up, PPO, GRPO and DPO, on one or many processes."""
