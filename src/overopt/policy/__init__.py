"""Policies: supervised fine-tuning and sampling."""
