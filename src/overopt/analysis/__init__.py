"""Statistics: coefficients, peaks and trends of curves, with their intervals."""
