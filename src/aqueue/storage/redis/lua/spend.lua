-- spend: count one call against a limit, if that admits it.
--
-- Atomic because between counting and spending somebody else could spend.
--
-- KEYS  1 calls that were admitted, by instant
-- ARGV  1 token of the call   2 limit   3 ms of a window   4 1: any such span is a window, 0: each multiple begins one
-- Returns 0 (admitted), or the ms until one may be. Cost: O(log limit), and O(calls that have left the window).
local calls, token, limit, per = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', calls, '-inf', string.format('%.0f', now - per))
if redis.call('ZSCORE', calls, token) then
  return 0
end
local begin = ARGV[4] == '1' and now - per + 1 or now - now % per
local spent = redis.call('ZCOUNT', calls, string.format('%.0f', begin), '+inf')
if spent < limit then
  redis.call('ZADD', calls, string.format('%.0f', now), token)
  redis.call('PEXPIRE', calls, ARGV[3])
  return 0
end
if ARGV[4] == '1' then
  -- So many have to leave the window that one fewer than the limit is left.
  begin = tonumber(redis.call('ZRANGE', calls, -limit, -limit, 'WITHSCORES')[2])
end
return begin + per - now
