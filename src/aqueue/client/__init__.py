"""One event loop's line to a store, and the handles that callers hold."""
