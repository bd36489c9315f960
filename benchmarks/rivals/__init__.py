"""The contestants: one adapter each, run in a process and an environment of its own, never imported by the harness."""
