-- acquire: give a token one of the permits of a name; one that it holds already begins anew.
--
-- Atomic because between counting the holders and becoming one somebody else could become one. Fences follow the clock
-- where that is ahead of them, so that they go on growing after a server has forgotten everything.
--
-- KEYS  1 holders of the name   2 their fences   3 names that are held   4 last fence   5 answer of the token's release
-- ARGV  1 name   2 token   3 permits   4 ms to hold it
-- Returns {fence (0: refused), ms for which a refusal holds}. Cost: O(log holders), and O(permits that have lapsed).
local holders, fences, names, token = KEYS[1], KEYS[2], KEYS[3], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function latest_in(instants)
  return redis.call('ZRANGE', instants, -1, -1, 'WITHSCORES')[2]
end

-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', names, '-inf', string.format('%.0f', now))
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', string.format('%.0f', now))) do
  redis.call('ZREM', holders, lapsed)
  redis.call('HDEL', fences, lapsed)
end
if redis.call('EXISTS', KEYS[5]) == 1 then
  return { 0, tonumber(ARGV[4]) }
end
local fence = tonumber(redis.call('HGET', fences, token) or 0)
if fence == 0 and redis.call('ZCARD', holders) >= tonumber(ARGV[3]) then
  -- Somebody waits now: the next release has to say so.
  redis.call('HSET', fences, '', 1)
  return { 0, redis.call('ZRANGE', holders, 0, 0, 'WITHSCORES')[2] - now }
end
if fence == 0 then
  fence = math.max(tonumber(redis.call('HGET', KEYS[4], 'last') or 0) + 1, now)
  redis.call('HSET', KEYS[4], 'last', string.format('%.0f', fence))
  redis.call('HSET', fences, token, string.format('%.0f', fence))
end
redis.call('ZADD', holders, string.format('%.0f', now + ARGV[4]), token)
local latest = latest_in(holders)
redis.call('ZADD', names, latest, ARGV[1])
redis.call('PEXPIRE', holders, string.format('%.0f', latest - now))
redis.call('PEXPIRE', fences, string.format('%.0f', latest - now))
redis.call('PEXPIRE', names, string.format('%.0f', latest_in(names) - now))
return { fence, 0 }
