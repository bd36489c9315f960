"""How a worker process starts, is supervised and ends."""
