-- delete: empty a key.
--
-- Atomic because a repetition of this call must get the same answer, and must not delete what others put since.
--
-- Parts: answers.
--
-- ARGV  1-2 those of answers   3 key
-- Returns 1 (deleted) or 0 (it was empty). Cost: O(1).
local is_repeated, answer = earlier_answer()
if is_repeated then
  return tonumber(answer)
end
local deleted = redis.call('HDEL', prefix.values .. ARGV[3], 'v')
remember(deleted)
return deleted
