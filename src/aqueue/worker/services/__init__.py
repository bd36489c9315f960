"""The loops of a worker: each fetches, promotes, reclaims, renews or schedules until it is cancelled."""
