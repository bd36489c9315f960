"""The path of one delivery: run it, decide what follows, settle it."""
