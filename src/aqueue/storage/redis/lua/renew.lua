-- renew: extend the leases of one consumer, and note that it is alive.
--
-- Atomic because XCLAIM without the check before it would steal an entry back from its new owner. JUSTID leaves the
-- delivery count alone: a renewal is no delivery.
--
-- KEYS  1 workers   2 tasks to cancel   then streams
-- ARGV  1 group   2 consumer   3 description of the worker   then per delivery: number of its stream, entry, count
-- Returns two lists of positions (from 1): the deliveries that are not ours any more, and those whose task was asked to
-- stop. Cost: O(log pending) per delivery.
local group, consumer = ARGV[1], ARGV[2]
local lost, to_cancel = {}, {}
local any_to_cancel = redis.call('EXISTS', KEYS[2]) == 1

local function is_to_cancel(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local fields = found and found[2] or {}
  return fields[1] == 'i' and redis.call('SISMEMBER', KEYS[2], fields[2]) == 1
end

for i = 4, #ARGV, 3 do
  local stream, entry = KEYS[2 + tonumber(ARGV[i])], ARGV[i + 1]
  local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
  if type(pending) == 'table' and pending[2] == consumer and pending[4] == tonumber(ARGV[i + 2]) then
    redis.call('XCLAIM', stream, group, consumer, 0, entry, 'JUSTID')
    if any_to_cancel and is_to_cancel(stream, entry) then
      to_cancel[#to_cancel + 1] = (i - 1) / 3
    end
  else
    lost[#lost + 1] = (i - 1) / 3
  end
end
local time = redis.call('TIME')
redis.pcall('HSET', KEYS[1], consumer, string.format('%.0f ', time[1] * 1000 + math.floor(time[2] / 1000)) .. ARGV[3])
return { lost, to_cancel }
