"""The worker: pulls tasks from the store, runs them, and gives their verdicts back."""
