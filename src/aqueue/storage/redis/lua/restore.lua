-- restore: take the mark of a key away.
--
-- KEYS  1 marks
-- ARGV  1 key
-- Returns 1, or 0 when there was none that held. Cost: O(log marks).
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
return redis.call('ZREM', KEYS[1], 'once ' .. ARGV[1], 'ever ' .. ARGV[1])
