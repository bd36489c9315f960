-- put: keep a value under a key, in place of whatever was there or only where there was nothing.
--
-- Atomic because between the look and the write somebody else could put a value, and because a repetition of this call
-- must not undo what others did since. The answer comes first: on a server without memory it is refused before anything
-- was written.
--
-- Parts: answers.
--
-- ARGV  1-2 those of answers   3 key   4 value   5 1: only where there is none   6 ms to live (0: for ever)
-- Returns 1 (kept) or 0 (there is a value). Cost: O(1).
local is_repeated, answer = earlier_answer()
if is_repeated then
  return tonumber(answer)
end
local value = prefix.values .. ARGV[3]
local kept = (ARGV[5] ~= '1' or redis.call('EXISTS', value) == 0) and 1 or 0
remember(kept)
if kept == 1 then
  -- The time to live of an earlier value goes with it.
  redis.call('HDEL', value, 'v')
  redis.call('HSET', value, 'v', ARGV[4])
  if ARGV[6] ~= '0' then
    redis.call('PEXPIRE', value, ARGV[6])
  end
end
return kept
