-- release: take a permit back from the token that holds it, and tell those who wait for one.
--
-- Atomic because a token that was asked to release must not acquire any more, and because who is refused in between
-- must be told.
--
-- KEYS  1 holders of the name   2 their fences   3 names that are held   4 answer of this call
-- ARGV  1 name   2 token   3 control channel   4 ms to remember the answer
-- Returns 1 (released) or 0 (the token held none). Cost: O(log holders).
local holders, fences, token = KEYS[1], KEYS[2], ARGV[2]
local answered = redis.call('HGET', KEYS[4], 'a')
if answered then
  return tonumber(answered)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ms = tonumber(redis.call('ZSCORE', holders, token) or 0)
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREM', holders, token)
redis.call('HDEL', fences, token)
local released = until_ms > now and 1 or 0
redis.call('HSET', KEYS[4], 'a', released)
redis.call('PEXPIRE', KEYS[4], ARGV[4])
if until_ms > 0 and redis.call('HDEL', fences, '') == 1 then
  redis.call('PUBLISH', ARGV[3], 'freed ' .. ARGV[1])
end
if redis.call('EXISTS', holders) == 0 then
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return released
