-- pause: hand nothing of a queue out any more, or of any queue.
--
-- A reader waits at a stream, where no flag could stop what is pushed from reaching it. So the group of the stream is
-- moved to the end of all ids: for a reader there is nothing new any more, and a push wakes nobody. Atomic because the
-- id that the group had reached must not move before it is kept.
--
-- Parts: lanes, groups.
--
-- ARGV  1 queue, or * for all
-- Returns 1, or 0 when it was paused already. Cost: O(lanes).
local function close(lane)
  if redis.call('HEXISTS', key.paused, lane) == 1 then
    return
  end
  local stream = prefix.stream .. lane
  local reached = last_delivered(stream)
  if not reached then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  end
  redis.call('HSET', key.paused, lane, reached or '0-0')
  redis.call('XGROUP', 'SETID', stream, GROUP, '18446744073709551615-0')
end

local is_new = redis.call('HSET', key.paused, ARGV[1], '')
if ARGV[1] ~= '*' then
  -- Readers wait at this lane before it has held a task.
  close(ARGV[1] .. ':0')
end
for _, lane in ipairs(redis.call('SMEMBERS', key.lanes)) do
  if ARGV[1] == '*' or queue_of(lane) == ARGV[1] then
    close(lane)
  end
end
return is_new
