-- promote: make scheduled tasks that are due ready, in bounded steps.
--
-- Atomic because between leaving the schedule and entering the stream a task would be nowhere.
--
-- Parts: enter.
--
-- ARGV  1 most tasks to move
-- Returns {tasks moved, ms until the next one is due (-1: none)}. Cost: O(lanes) and O(log n) per task.
local now = clock()
local left, moved, next_due, seen = tonumber(ARGV[1]), 0, nil, {}

local function promote(schedule, id)
  local record = prefix.task .. id
  local size, kept, payload = redis.call('HSTRLEN', record, 'p'), nil, nil
  if size > MOST_LENT_BYTES then
    kept, payload = redis.call('HMGET', record, 'l', 's', 'b', 'f'), size
  else
    kept = redis.call('HMGET', record, 'l', 's', 'b', 'f', 'p')
    payload = kept[5]
  end
  if payload then
    enter(id, payload, kept[1], 0, kept[2] or 'scheduled', kept[3], kept[4])
    redis.call('HDEL', record, 'b', 'f')
    if payload ~= size then
      redis.call('HDEL', record, 'p')
    end
    moved = moved + 1
  end
  redis.call('ZREM', schedule, id)
end

for _, lane in ipairs(redis.call('SMEMBERS', key.lanes)) do
  local schedule = prefix.due .. queue_of(lane)
  if not seen[schedule] then
    seen[schedule] = true
    -- A write that frees memory first: a server that is full of retries must still be able to promote them.
    redis.call('ZREM', schedule, '')
    if left > 0 then
      local due = redis.call('ZRANGEBYSCORE', schedule, '-inf', string.format('%.0f', now), 'LIMIT', 0, left)
      for _, id in ipairs(due) do
        promote(schedule, id)
      end
      left = left - #due
    end
    local first = redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]
    if first and (not next_due or tonumber(first) < next_due) then
      next_due = tonumber(first)
    end
  end
end
announce()
return { moved, next_due and math.max(next_due - now, 0) or -1 }
