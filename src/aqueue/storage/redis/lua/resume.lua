-- resume: hand out again what was paused.
--
-- Atomic because between the move of the group and the end of the pause somebody else could pause it again, and keep
-- the wrong id. A reader that waits at the stream is woken by an entry that is gone at once, and finds what has come
-- meanwhile.
--
-- Parts: lanes.
--
-- ARGV  1 queue, or * for all
-- Returns 1, or 0 when it was not paused. Cost: O(paused lanes).
local was_paused = redis.call('HDEL', key.paused, ARGV[1])

local function is_paused(queue)
  return redis.call('HEXISTS', key.paused, queue) == 1 or redis.call('HEXISTS', key.paused, '*') == 1
end

local function open(lane)
  local stream = prefix.stream .. lane
  if redis.pcall('XGROUP', 'SETID', stream, GROUP, redis.call('HGET', key.paused, lane)).err == nil then
    redis.call('XDEL', stream, redis.call('XADD', stream, '*', 'i', ''))
  end
  redis.call('HDEL', key.paused, lane)
end

for _, field in ipairs(redis.call('HKEYS', key.paused)) do
  -- The others are queues that are paused.
  local queue = queue_of(field)
  if queue and not is_paused(queue) then
    open(field)
  end
end
return was_paused
