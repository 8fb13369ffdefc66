"""The frame of every job: outputs, run record, provenance, processes, locks."""
