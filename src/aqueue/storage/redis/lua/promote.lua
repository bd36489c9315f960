-- promote: make scheduled tasks that are due ready, in bounded steps.
--
-- Atomic because between leaving the schedule and entering the stream a task would be nowhere.
--
-- KEYS  1 set of levels
-- ARGV  1 prefix of record keys   2 prefix of streams   3 prefix of schedules   4 most tasks to move
-- Returns {tasks moved, ms until the next one is due (-1: none)}. Cost: O(levels) and O(log n) per task.
local prefix, left = ARGV[1], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved, next_due, seen = 0, nil, {}

local function promote(schedule, id)
  local record = prefix .. id
  local kept = redis.call('HMGET', record, 'p', 'l', 'b', 'f', 's')
  if kept[1] then
    local stream, entry = ARGV[2] .. kept[2], nil
    if kept[3] then
      entry = redis.call('XADD', stream, '*', 'i', id, 'p', kept[1], 'b', kept[3], 'f', kept[4])
      redis.call('HDEL', record, 'p', 'b', 'f')
    else
      entry = redis.call('XADD', stream, '*', 'i', id, 'p', kept[1])
      redis.call('HDEL', record, 'p')
    end
    redis.call('HSET', record, 'e', entry, 's', kept[5] == 'retrying' and 'retrying' or 'queued')
    moved = moved + 1
  end
  redis.call('ZREM', schedule, id)
end

for _, level in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local schedule = ARGV[3] .. string.match(level, '^(.*):')
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
return { moved, next_due and math.max(next_due - now, 0) or -1 }
