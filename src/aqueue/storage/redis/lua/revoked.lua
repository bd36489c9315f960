-- revoked: which tasks must not start.
--
-- Atomic because of a revocation that holds once: it passes from the kind to the task that it stops, so that no other
-- task is stopped by it, and so that the answer is the same when the first one got lost on the way.
--
-- Parts: clock.
--
-- ARGV  1 whether the tasks are about to start (1 or 0)   then per task: its id, the key of its kind ('' for none)
-- Returns 1 or 0 per task. Cost: O(log revocations) per task.
local about_to_start, answer = ARGV[1] == '1', {}
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', key.revocations, '-inf', string.format('%.0f', clock()))

local function holds(kind, name)
  return redis.call('ZSCORE', key.revocations, kind .. ' ' .. name)
end

local function is_revoked(id, group)
  if holds('ever', id) or holds('once', id) or holds('ever', group) then
    return 1
  elseif about_to_start and redis.call('SISMEMBER', key.to_cancel, id) == 1 then
    return 1
  elseif not holds('once', group) then
    return 0
  end
  if about_to_start then
    redis.call('ZREM', key.revocations, 'once ' .. group)
    redis.call('ZADD', key.revocations, '+inf', 'ever ' .. id)
  end
  return 1
end

for i = 2, #ARGV, 2 do
  answer[#answer + 1] = is_revoked(ARGV[i], ARGV[i + 1])
end
return answer
