"""Deep best-of-n: a pool so large that gold is scored only where the estimate reads it."""
