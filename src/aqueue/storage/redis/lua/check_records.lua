-- check_records: whether each of some tasks is where its record says.
--
-- One script, because a task that moves between two looks would seem to be in no place, or in two.
--
-- KEYS  1 pauses   then records
-- ARGV  1 group   2 prefix of streams   3 prefix of schedules   4 length of the prefix of record keys
-- Returns {id, what is wrong, more about it} per task that is not, behind their number. Cost: O(log n) per record.
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
local come_to, answer = {}, { 0 }

local function last_delivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, group in ipairs(groups) do
    local facts = {}
    for i = 1, #group, 2 do
      facts[group[i]] = group[i + 1]
    end
    if facts.name == ARGV[1] then
      return redis.call('HGET', KEYS[1], stream) or facts['last-delivered-id']
    end
  end
  return '0-0'
end

local function is_after(entry, other)
  local ms, number = string.match(entry, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other_number))
end

local function in_line(id, entry, level)
  local stream = ARGV[2] .. level
  local found = redis.pcall('XRANGE', stream, entry, entry)
  if found.err or not found[1] then
    return 'no entry', level
  end
  local fields = found[1][2]
  if fields[1] ~= 'i' or fields[2] ~= id then
    return 'other entry', entry
  end
  come_to[stream] = come_to[stream] or last_delivered(stream)
  local pending = redis.pcall('XPENDING', stream, ARGV[1], entry, entry, 1)[1]
  if type(pending) ~= 'table' and not is_after(entry, come_to[stream]) then
    return 'not lent', level
  end
end

local function check(id, record)
  local kept = redis.call('HMGET', record, 'e', 's', 'l', 'p', 'j')
  local entry, state, level = kept[1], kept[2] or 'queued', kept[3] or 'default:0'
  local expires = redis.call('PTTL', record) ~= -1
  if is_verdict[state] then
    return not expires and 'kept' or nil, state
  elseif not entry then
    return 'damaged', ''
  elseif expires then
    return 'vanishing', state
  elseif entry ~= '' then
    return in_line(id, entry, level)
  elseif state == 'waiting' then
    return not (kept[4] and kept[5]) and 'waits for nothing' or nil, ''
  elseif not kept[4] then
    return 'no payload', ''
  elseif not redis.call('ZSCORE', ARGV[3] .. string.match(level, '^(.*):'), id) then
    return 'no schedule', string.match(level, '^(.*):')
  end
end

for k = 2, #KEYS do
  if redis.call('EXISTS', KEYS[k]) == 1 then
    answer[1] = answer[1] + 1
    local id = string.sub(KEYS[k], tonumber(ARGV[4]) + 1)
    local wrong, more = check(id, KEYS[k])
    if wrong then
      answer[#answer + 1] = { id, wrong, more }
    end
  end
end
return answer
