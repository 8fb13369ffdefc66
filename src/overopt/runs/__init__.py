"""Other people's runs: reading their logs, fitting the laws, diagnosing, planning labels."""
