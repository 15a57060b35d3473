"""The same task as a ManiSkill environment: for batched GPU simulation, and as a cross-check of the CPU world."""
