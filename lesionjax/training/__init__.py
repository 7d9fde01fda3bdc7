"""Losses, optimiser, state, tasks, one loop, checkpoints and the metric writer."""
