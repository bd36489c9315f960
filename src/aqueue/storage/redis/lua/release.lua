-- release: take a permit back from the token that holds it, and tell everybody that it is free if somebody waits.
--
-- Atomic because a token that was asked to release must not acquire any more, and because a caller that is refused in
-- between must be told.
--
-- Parts: clock, answers.
--
-- ARGV  1-2 those of answers, for the token that holds it   3 name
-- Returns 1 (released) or 0 (the token held none). Cost: O(log holders).
local token, name = ARGV[1], ARGV[3]
local is_repeated, answer = earlier_answer()
if is_repeated then
  return tonumber(answer)
end
local holders, fences = prefix.locks .. name, prefix.fences .. name
local until_ms = tonumber(redis.call('ZSCORE', holders, token) or 0)
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREM', holders, token)
redis.call('HDEL', fences, token)
local released = until_ms > clock() and 1 or 0
remember(released)
if until_ms > 0 and redis.call('HDEL', fences, '') == 1 then
  redis.call('PUBLISH', key.control, 'freed ' .. name)
end
if redis.call('EXISTS', holders) == 0 then
  redis.call('ZREM', key.locks, name)
end
return released
