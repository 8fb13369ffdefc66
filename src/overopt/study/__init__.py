"""A whole study: reading and checking a config, cells, paths, settings of every job."""
