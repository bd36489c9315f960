-- put_back: return deliveries of one lane to the line or to the schedule, each if its receipt still holds.
--
-- Atomic because between leaving the pending list and entering the stream or the schedule the task would be nowhere.
-- The payload is copied from the entry, or stays in the record: the worker cannot change it. The fence base grows by
-- the deliveries of the old entry, so that the fence of the next delivery is higher than any before. A task that was
-- asked to stop is due at once: the worker that gets it next ends it.
--
-- Parts: leases, entries, enter.
--
-- ARGV  1 consumer   2 lane   then per task: entry, count, id, state, when it is due, failures
-- Returns per task 1 (put back), 0 (another consumer owns it) or -1 (the entry is gone). Cost: O(log n) per task.
local consumer, lane, answer = ARGV[1], ARGV[2], {}
local stream = prefix.stream .. lane
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('XACK', stream, GROUP, '0-1')
local is_any_to_cancel = redis.call('EXISTS', key.to_cancel) == 1

local function leave(entry)
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
end

local function put_back(entry, count, id, state, when, failures)
  local owned = ownership(stream, entry, consumer, count)
  local fields = owned == -1 and {} or read_entry(stream, entry)
  local payload = fields.p or tonumber(fields.z)
  if not payload then
    -- Gone, or an entry of a stranger, with nothing in it that could be put back.
    leave(entry)
    return -1
  elseif owned == 1 then
    local due = instant(when)
    if is_any_to_cancel and redis.call('SISMEMBER', key.to_cancel, id) == 1 then
      due = 0
    end
    enter(id, payload, lane, due, state, string.format('%.0f', (fields.b or 0) + count), failures)
    leave(entry)
  end
  return owned
end

for i = 3, #ARGV, 6 do
  answer[#answer + 1] = put_back(unpack(ARGV, i, i + 5))
end
announce()
return answer
