"""What a study will cost: jobs, hours, memory and disk, before it runs."""
