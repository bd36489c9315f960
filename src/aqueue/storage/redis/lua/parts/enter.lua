-- enter: the one way into a line, where a task is ready, or into the schedule of its queue, where it is due later.
--
-- A script calls enter for each task and announce at its end, which tells others what they have to know: readers of the
-- lanes that are new, and promoters of an instant before which no other task of a queue is due. For a batch that costs
-- the same as for one task.
--
-- Parts: clock, lanes.
local tasks, streams, earliest = prefix.task, {}, {}

-- The instant of a `when`: behind a plus it is counted from now. At once is 0, which needs no look at the clock.
local function instant(when)
  if when == '+0' then
    return 0
  end
  return string.byte(when) == 43 and clock() + when or tonumber(when)
end

-- Puts a task where it belongs. Returns 1, or 0 if it is a new task whose id is in use: then nothing has changed. A
-- task that is not new has a `state`, and `deliveries` and `failures` if there were any. A payload that stands in the
-- record already may be given as the number of its bytes. The first write needs memory, so a full server refuses it
-- before anything is written, unless the script has freed memory before.
local function enter(id, payload, lane, due, state, deliveries, failures)
  local record, stream, entry = tasks .. id, streams[lane], nil
  if not stream then
    stream = prefix.stream .. lane
    streams[lane] = stream
  end
  if due > 0 and due > clock() then
    if not state and redis.call('EXISTS', record) == 1 then
      return 0
    end
    -- The payload waits in the record: an entry that waits for days would keep its whole node of the stream in memory.
    state = (not state or state == 'queued') and 'scheduled' or state
    redis.call('HSET', record, 'e', '', 's', state, 'l', lane)
    if type(payload) == 'string' then
      redis.call('HSET', record, 'p', payload)
    end
    if deliveries then
      redis.call('HSET', record, 'b', deliveries, 'f', failures)
    end
    local queue = queue_of(lane)
    redis.call('ZADD', prefix.due .. queue, string.format('%.0f', due), id)
    earliest[queue] = math.min(earliest[queue] or due, due)
    return 1
  end
  -- A large payload stands in the record, however often the task is lent and put back: so entries are small.
  local field, large = 'p', nil
  if type(payload) == 'number' then
    field = 'z'
  elseif #payload > MOST_LENT_BYTES then
    field, large, payload = 'z', payload, #payload
  end
  if deliveries then
    entry = redis.call('XADD', stream, '*', 'i', id, field, payload, 'b', deliveries, 'f', failures)
  else
    entry = redis.call('XADD', stream, '*', 'i', id, field, payload)
  end
  if state == 'scheduled' then
    state = 'queued'
  end
  if state then
    redis.call('HSET', record, 'e', entry, 's', state, 'l', lane)
  elseif redis.call('HSETNX', record, 'e', entry) == 0 then
    redis.call('XDEL', stream, entry)
    return 0
  elseif lane ~= 'default:0' then
    redis.call('HSET', record, 'l', lane)
  end
  if large then
    -- The state too: by that record_verdict knows that there is a payload to remove.
    redis.call('HSET', record, 'p', large, 's', state or 'queued')
  end
  return 1
end

local function announce()
  for lane in pairs(streams) do
    if redis.call('SADD', key.lanes, lane) == 1 then
      redis.call('PUBLISH', key.control, 'lane ' .. lane)
    end
  end
  for queue, due in pairs(earliest) do
    -- By the instant and not by the id: of tasks that are due together any may stand first.
    if tonumber(redis.call('ZRANGE', prefix.due .. queue, 0, 0, 'WITHSCORES')[2]) == due then
      redis.call('PUBLISH', key.control, string.format('due %.0f', due - clock()))
    end
  end
end
