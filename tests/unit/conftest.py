from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every machine, however slow it is.
settings.register_profile("aqueue", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aqueue")
