-- pop: take the value of a key away.
--
-- Atomic because a value whose reply gets lost would be lost with it: the answer is kept where the repetition of this
-- call finds it. A write that frees memory comes first, so that this works on a server that is full.
--
-- Parts: answers.
--
-- ARGV  1-2 those of answers   3 key
-- Returns the value, or nil where there is none. Cost: O(size of the value).
local is_repeated, answer = earlier_answer()
if is_repeated then
  return answer
end
local value = redis.call('HGET', prefix.values .. ARGV[3], 'v')
redis.call('HDEL', prefix.values .. ARGV[3], 'v')
remember(value or nil)
return value
