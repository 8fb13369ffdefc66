"""Proximal policy optimization against a proxy reward model."""
