"""Reinforcement learning against a proxy reward model: the loop that all algorithms share."""
