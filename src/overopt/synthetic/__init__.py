"""Synthetic comparisons: pairs of responses of the initial policy, labelled by the gold RM."""
