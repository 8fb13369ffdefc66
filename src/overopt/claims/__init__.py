"""The paper's claims as statistical checks with verdicts (Gao et al. 2022)."""
