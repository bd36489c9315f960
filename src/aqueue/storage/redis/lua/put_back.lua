-- put_back: return deliveries of one level to the queue, now or later, each if its receipt still holds.
--
-- Atomic because between leaving the pending list and entering the stream or the schedule the task would be nowhere.
-- The payload is copied from the entry itself: the worker cannot change it. The fence base grows by the deliveries of
-- the old entry, so that the fence of the next delivery is higher than any before. A task that was asked to stop is due
-- at once: whoever gets it next ends it.
--
-- KEYS  1 stream of the level   2 scheduled ids of the queue   3 tasks to cancel
-- ARGV  1 group   2 consumer   3 prefix of record keys   4 level   5 control channel
--       then per task: entry, count, id, state, delay ms, eta ms (0: delay), failures
-- Returns per task 1 (put back), 0 (someone else owns it) or -1 (the entry is gone). Cost: O(log n) per task.
local stream, schedule, group, consumer, prefix = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('XACK', stream, group, '0-1')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer, earliest = {}, nil
local any_to_cancel = redis.call('EXISTS', KEYS[3]) == 1

local function fields_of(entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local fields = {}
  if found then
    for i = 1, #found[2], 2 do
      fields[found[2][i]] = found[2][i + 1]
    end
  end
  return fields
end

for i = 6, #ARGV, 7 do
  local entry, count, id, state, failures = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3], ARGV[i + 6]
  local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
  local fields = type(pending) == 'table' and fields_of(entry) or {}
  if not fields.p then
    -- Gone, or an entry of a stranger, with nothing in it that could be put back.
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    answer[#answer + 1] = -1
  elseif pending[2] ~= consumer or pending[4] ~= count then
    answer[#answer + 1] = 0
  else
    local record = prefix .. id
    local base = string.format('%.0f', tonumber(fields.b or 0) + count)
    local due = tonumber(ARGV[i + 5])
    if due == 0 then
      due = now + tonumber(ARGV[i + 4])
    end
    if any_to_cancel and redis.call('SISMEMBER', KEYS[3], id) == 1 then
      due = now
    end
    if due <= now then
      local added = redis.call('XADD', stream, '*', 'i', id, 'p', fields.p, 'b', base, 'f', failures)
      redis.call('HSET', record, 'e', added, 's', state == 'scheduled' and 'queued' or state, 'l', ARGV[4])
    else
      state = state == 'queued' and 'scheduled' or state
      redis.call('HSET', record, 'e', '', 's', state, 'l', ARGV[4], 'p', fields.p, 'b', base, 'f', failures)
      redis.call('ZADD', schedule, string.format('%.0f', due), id)
      if not earliest or due < earliest then
        earliest = due
      end
    end
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    answer[#answer + 1] = 1
  end
end
-- By the instant and not by the id: of tasks that are due together any may stand first.
if earliest and tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == earliest then
  redis.call('PUBLISH', ARGV[5], string.format('due %.0f', math.max(earliest - now, 0)))
end
return answer
