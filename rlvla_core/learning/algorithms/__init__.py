"""Learning algorithms: PPO, GRPO, DPO and supervised fine-tuning, one file each."""
