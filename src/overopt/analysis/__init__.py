"""From curves to coefficients, peaks, trends and their intervals."""
