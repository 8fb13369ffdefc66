"""
Snakemake logger plugin: what a run of the workflow shows a person.

Snakemake finds it by the name of this package; `logger: overopt` in profiles/default selects it.
"""

from snakemake_logger_plugin_overopt.handler import LogHandler

__all__ = ["LogHandler"]
