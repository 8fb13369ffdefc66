"""What optimizes a policy against a proxy reward model, and the curve all methods write."""
