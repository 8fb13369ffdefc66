"""The training loop that SFT, reward models and PPO share."""
