"""What processes share beside tasks: locks, rate limits, values."""
