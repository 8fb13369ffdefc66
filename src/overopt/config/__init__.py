"""The sections of config.yaml, one module each, with the settings of their jobs."""
