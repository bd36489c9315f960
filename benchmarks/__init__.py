"""How fast is aqueue, and next to whom?  `python -m benchmarks` answers; README.md says how it measures."""
