"""Where prompts, demonstrations and human comparisons come from."""
