"""The paper's formulas and estimators, in numpy alone: forms, best-of-n, its KL."""
