"""These tests need no torch."""

from without_torch import forbid_torch

__all__ = ["forbid_torch"]
