-- revoked: which tasks must not start.
--
-- Atomic because of a mark that holds once: it passes from the kind to the task that it stops, so that no other task is
-- stopped by it, and so that the answer is the same when the first one got lost on the way.
--
-- KEYS  1 marks   2 tasks to cancel
-- ARGV  1 whether the tasks are about to start (1 or 0)   then per task: its id, the key of its kind ('' for none)
-- Returns 1 or 0 per task. Cost: O(log marks) per task.
local about_to_start = ARGV[1] == '1'
local time = redis.call('TIME')
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))

local function is_marked(kind, key)
  return redis.call('ZSCORE', KEYS[1], kind .. ' ' .. key)
end

local function is_revoked(id, group)
  if is_marked('ever', id) or is_marked('once', id) or is_marked('ever', group) then
    return 1
  elseif about_to_start and redis.call('SISMEMBER', KEYS[2], id) == 1 then
    return 1
  elseif not is_marked('once', group) then
    return 0
  end
  if about_to_start then
    redis.call('ZREM', KEYS[1], 'once ' .. group)
    redis.call('ZADD', KEYS[1], '+inf', 'ever ' .. id)
  end
  return 1
end

local answer = {}
for i = 2, #ARGV, 2 do
  answer[#answer + 1] = is_revoked(ARGV[i], ARGV[i + 1])
end
return answer
