-- incr: add to the integer of a key.
--
-- Atomic because a repetition of this call must not add again. The answer comes first: on a server without memory it is
-- refused before anything was written. The sum is read back as text, for a number of Lua has 53 bits.
--
-- Parts: answers.
--
-- ARGV  1-2 those of answers   3 key   4 amount
-- Returns the sum, or nil when the value is not an integer of 64 bits or the sum would not be one. Cost: O(1).
local is_repeated, answer = earlier_answer()
if is_repeated then
  return answer
end
local value = prefix.values .. ARGV[3]
remember(nil)
if type(redis.pcall('HINCRBY', value, 'v', ARGV[4])) ~= 'number' then
  return false
end
local total = redis.call('HGET', value, 'v')
remember(total)
return total
