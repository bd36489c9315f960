-- spend: count one call against a limit, if that admits it.
--
-- Atomic because between counting and spending somebody else could spend.
--
-- Parts: window.
--
-- ARGV  1-3 those of window   4 token of the call   5 limit
-- Returns 0 (admitted), or the ms until one may be. Cost: O(log limit), and O(calls that have left the window).
local token, limit = ARGV[4], tonumber(ARGV[5])
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', calls, '-inf', string.format('%.0f', now - per))
if redis.call('ZSCORE', calls, token) then
  return 0
end
if count_calls() < limit then
  redis.call('ZADD', calls, string.format('%.0f', now), token)
  redis.call('PEXPIRE', calls, per)
  return 0
end
if is_sliding then
  -- The next call is admitted when one fewer than the limit is left in the window.
  begin = tonumber(redis.call('ZRANGE', calls, -limit, -limit, 'WITHSCORES')[2])
end
return begin + per - now
