"""Predictions on what the paper does not show: selection rules, mitigations, optimizers."""
