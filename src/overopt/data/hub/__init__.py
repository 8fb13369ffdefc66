"""Human data of the hub: fetched, read in each data set's own schema, written as the user's files.

Whatever comes after reads `prompt, chosen, rejected` and `prompt, response` and does not know where
they came from.
"""
