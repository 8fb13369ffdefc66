"""Policy gradients without a value head: RLOO, GRPO, Dr. GRPO, REINFORCE++."""
