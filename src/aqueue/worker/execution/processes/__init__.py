"""Child processes of a worker, for plain functions that compute: they can be killed, and they can die alone."""
