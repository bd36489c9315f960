-- look: the state, result and progress of tasks, as one consistent picture each.
--
-- Atomic because a client that looks and then asks to be told could miss the verdict in between.
--
-- Parts: verdicts, leases.
--
-- ARGV  1 client that watches ('' for none)   then ids
-- Returns {state ('' if unknown), result, progress} per id, for the first ids: at least one, and no more than fit in
-- one flight. Freight is the last, with its size in place of the result. Cost: O(log pending) per id.
local watcher, seen, room = ARGV[1], {}, FLIGHT_BYTES

local function watch(id)
  local clients = redis.call('HGET', key.watchers, id)
  if not clients then
    redis.call('HSET', key.watchers, id, watcher)
  elseif not string.find(' ' .. clients .. ' ', ' ' .. watcher .. ' ', 1, true) then
    redis.call('HSET', key.watchers, id, clients .. ' ' .. watcher)
  end
end

for i = 2, #ARGV do
  local kept = redis.call('HMGET', prefix.task .. ARGV[i], 'e', 's', 'r', 'g', 'l')
  local entry, state = kept[1], kept[2] or 'queued'
  if not entry and not kept[2] then
    state = ''
  elseif entry and entry ~= '' and (state == 'queued' or state == 'retrying') then
    if lease_of(prefix.stream .. (kept[5] or 'default:0'), entry) then
      state = 'running'
    end
  end
  local result = kept[3] or ''
  local is_freight = #result > FREIGHT_BYTES
  room = room - #result
  if room < 0 and i > 2 and not is_freight then
    break
  end
  if watcher ~= '' and state ~= '' and not is_verdict[state] then
    watch(ARGV[i])
  end
  seen[i - 1] = { state, is_freight and #result or result, kept[4] or '' }
  if is_freight then
    break
  end
end
return seen
