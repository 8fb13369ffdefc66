"""What a finished study says: pages of the report, summary, comparison with the reference."""
