"""The figures and tables of Gao et al. 2022 (arXiv version), drawn from a study's tidy tables."""
