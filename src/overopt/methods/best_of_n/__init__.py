"""Best-of-n in practice: one pool of responses per policy, scored by every reward model."""
