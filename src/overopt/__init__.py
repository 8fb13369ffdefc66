"""Reward-model overoptimization (Gao, Schulman, Hilton 2022) as a reproducible workflow."""
