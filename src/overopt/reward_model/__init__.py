"""Reward models: gold and proxies, their training and scoring."""
