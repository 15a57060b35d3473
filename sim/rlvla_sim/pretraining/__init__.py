"""Pretraining of the tiny policy: posed scenes, the questions asked about them, and both as a dataset."""
