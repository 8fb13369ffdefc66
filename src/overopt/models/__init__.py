"""Language and reward models as modules: layouts, loading, tokens, forward passes."""
