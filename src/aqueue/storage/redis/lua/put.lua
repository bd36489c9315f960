-- put: keep a value under a key, in place of whatever was there or only where there was nothing.
--
-- Atomic because between the look and the write somebody else could put a value, and because a repetition of this call
-- must not undo what others did since. The answer comes first: on a server without memory it is refused before anything
-- was written.
--
-- KEYS  1 value   2 answer of this call
-- ARGV  1 value   2 1: only where there is none   3 ms to live (0: for ever)   4 ms to remember the answer
-- Returns 1 (kept) or 0 (there is a value). Cost: O(1).
local answered = redis.call('HGET', KEYS[2], 'a')
if answered then
  return tonumber(answered)
end
local kept = (ARGV[2] ~= '1' or redis.call('EXISTS', KEYS[1]) == 0) and 1 or 0
redis.call('HSET', KEYS[2], 'a', kept)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
if kept == 1 then
  -- The time to live of an earlier value goes with it.
  redis.call('HDEL', KEYS[1], 'v')
  redis.call('HSET', KEYS[1], 'v', ARGV[1])
  if ARGV[3] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
end
return kept
