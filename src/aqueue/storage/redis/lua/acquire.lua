-- acquire: give a token one of the permits of a name; one that it holds already begins anew.
--
-- Atomic because between counting the holders and becoming one somebody else could become one. Fences follow the clock
-- where that is ahead of them, so that they go on growing after a server has forgotten everything.
--
-- Parts: clock.
--
-- ARGV  1 name   2 token   3 permits   4 ms to hold it
-- Returns {fence (0: refused), ms for which a refusal holds}. Cost: O(log holders), and O(permits that have lapsed).
local now = clock()
local holders, fences, token = prefix.locks .. ARGV[1], prefix.fences .. ARGV[1], ARGV[2]

local function latest_in(instants)
  return redis.call('ZRANGE', instants, -1, -1, 'WITHSCORES')[2]
end

-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', key.locks, '-inf', string.format('%.0f', now))
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', string.format('%.0f', now))) do
  redis.call('ZREM', holders, lapsed)
  redis.call('HDEL', fences, lapsed)
end
-- A token that was released does not acquire any more: its release was answered.
if redis.call('EXISTS', prefix.answers .. token) == 1 then
  return { 0, tonumber(ARGV[4]) }
end
local fence = tonumber(redis.call('HGET', fences, token) or 0)
if fence == 0 and redis.call('ZCARD', holders) >= tonumber(ARGV[3]) then
  -- Somebody waits now: the next release has to say so.
  redis.call('HSET', fences, '', 1)
  return { 0, redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')[2] - now }
end
if fence == 0 then
  fence = math.max(tonumber(redis.call('HGET', key.fences, 'last') or 0) + 1, now)
  redis.call('HSET', key.fences, 'last', string.format('%.0f', fence))
  redis.call('HSET', fences, token, string.format('%.0f', fence))
end
redis.call('ZADD', holders, string.format('%.0f', now + ARGV[4]), token)
local latest = latest_in(holders)
redis.call('ZADD', key.locks, latest, ARGV[1])
redis.call('PEXPIRE', holders, string.format('%.0f', latest - now))
redis.call('PEXPIRE', fences, string.format('%.0f', latest - now))
redis.call('PEXPIRE', key.locks, string.format('%.0f', latest_in(key.locks) - now))
return { fence, 0 }
