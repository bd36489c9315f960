-- restore: take the revocation of a key away.
--
-- Parts: clock.
--
-- ARGV  1 key
-- Returns 1, or 0 when there was none that held. Cost: O(log revocations).
redis.call('ZREMRANGEBYSCORE', key.revocations, '-inf', string.format('%.0f', clock()))
return redis.call('ZREM', key.revocations, 'once ' .. ARGV[1], 'ever ' .. ARGV[1])
