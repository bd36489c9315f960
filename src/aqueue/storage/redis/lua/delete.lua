-- delete: empty a key.
--
-- Atomic because a repetition of this call must get the same answer, and must not delete what others put since.
--
-- KEYS  1 value   2 answer of this call
-- ARGV  1 ms to remember the answer
-- Returns 1 (deleted) or 0 (it was empty). Cost: O(1).
local answered = redis.call('HGET', KEYS[2], 'a')
if answered then
  return tonumber(answered)
end
local deleted = redis.call('HDEL', KEYS[1], 'v')
redis.call('HSET', KEYS[2], 'a', deleted)
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return deleted
