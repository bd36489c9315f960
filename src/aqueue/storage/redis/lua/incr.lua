-- incr: add to the integer of a key.
--
-- Atomic because a repetition of this call must not add again. The answer comes first: on a server without memory it is
-- refused before anything was written. The sum is read back as text, for a number of Lua has 53 bits.
--
-- KEYS  1 value   2 answer of this call
-- ARGV  1 amount   2 ms to remember the answer
-- Returns the sum, or nil when the value is no integer of 64 bits or would be none any more. Cost: O(1).
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.call('HGET', KEYS[2], 'a')
end
redis.call('HSET', KEYS[2], 'n', 1)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if type(redis.pcall('HINCRBY', KEYS[1], 'v', ARGV[1])) ~= 'number' then
  return false
end
local total = redis.call('HGET', KEYS[1], 'v')
redis.call('HSET', KEYS[2], 'a', total)
return total
