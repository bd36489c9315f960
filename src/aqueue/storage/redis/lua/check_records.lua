-- check_records: whether each of some tasks is where its record says.
--
-- One script, because a task that moves between two looks would seem to be in no place, or in two.
--
-- Parts: verdicts, lanes, leases, groups.
--
-- ARGV  ids
-- Returns {id, what is wrong, more about it} per task that is not, behind their number. Cost: O(log n) per id.
local reached, answer = {}, { 0 }

local function is_after(entry, other)
  local ms, number = string.match(entry, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other_number))
end

local function reached_in(lane)
  local id = last_delivered(prefix.stream .. lane)
  return id and redis.call('HGET', key.paused, lane) or id or '0-0'
end

local function in_line(id, entry, lane)
  local stream = prefix.stream .. lane
  local found = redis.pcall('XRANGE', stream, entry, entry)
  if found.err or not found[1] then
    return 'no entry', lane
  end
  local fields = found[1][2]
  if fields[1] ~= 'i' or fields[2] ~= id then
    return 'other entry', entry
  elseif fields[3] == 'z' and redis.call('HEXISTS', prefix.task .. id, 'p') == 0 then
    return 'no payload', ''
  end
  reached[lane] = reached[lane] or reached_in(lane)
  if not lease_of(stream, entry) and not is_after(entry, reached[lane]) then
    return 'not lent', lane
  end
end

local function check(id, record)
  local kept = redis.call('HMGET', record, 'e', 's', 'l', 'j')
  local entry, state, lane = kept[1], kept[2] or 'queued', kept[3] or 'default:0'
  local has_payload = redis.call('HEXISTS', record, 'p') == 1
  local expires = redis.call('PTTL', record) ~= -1
  if is_verdict[state] then
    return not expires and 'kept' or nil, state
  elseif not entry then
    return 'damaged', ''
  elseif expires then
    return 'vanishing', state
  elseif entry ~= '' then
    return in_line(id, entry, lane)
  elseif state == 'waiting' then
    return not (kept[4] and has_payload) and 'waits for nothing' or nil, ''
  elseif not has_payload then
    return 'no payload', ''
  elseif not redis.call('ZSCORE', prefix.due .. queue_of(lane), id) then
    return 'no schedule', queue_of(lane)
  end
end

for _, id in ipairs(ARGV) do
  local record = prefix.task .. id
  if redis.call('EXISTS', record) == 1 then
    answer[1] = answer[1] + 1
    local wrong, more = check(id, record)
    if wrong then
      answer[#answer + 1] = { id, wrong, more }
    end
  end
end
return answer
