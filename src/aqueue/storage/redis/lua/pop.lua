-- pop: take the value of a key away.
--
-- Atomic because a value whose reply gets lost would be lost with it: the answer is kept where the repetition of this
-- call finds it.
--
-- KEYS  1 value   2 answer of this call
-- ARGV  1 ms to remember the answer
-- Returns the value, or nil where there is none. Cost: O(size of the value).
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.call('HGET', KEYS[2], 'a')
end
local value = redis.call('HGET', KEYS[1], 'v')
redis.call('HDEL', KEYS[1], 'v')
redis.call('HSET', KEYS[2], 'n', 1)
if value then
  redis.call('HSET', KEYS[2], 'a', value)
end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return value
