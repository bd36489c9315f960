-- settle_linked: record the verdicts of deliveries of one level, each if its receipt still holds, and move those on who
-- wait for them.
--
-- Atomic for the reasons of settle, and because a crash between a verdict and what follows from it would leave the rest
-- of the workflow waiting for ever, or run a part of it twice.
--
-- KEYS  1 stream of the level   2 watchers
-- ARGV  1 group   2 consumer   3 prefix of record keys   4 prefix of reply channels   5 longest result that is told
--       6 prefix of inboxes   7 prefix of streams   8 prefix of schedules   9 control channel
--       10 most bytes of inputs   11 the cause when there are more
--       then per task: entry, count, id, state, result, ttl ms, client that waits ('' for none)
-- Returns per task 1 (settled), 0 (someone else owns it) or -1 (the entry is gone). Cost: O(log pending) per task, O(1)
-- per node that waits for it, and O(inputs) for one that has them all.
local stream, group, consumer, prefix = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
-- A write that frees memory first: after it, a server that is full accepts the rest of the script.
redis.call('XACK', stream, group, '0-1')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local triggering = {
  done = { done = true },
  ended = { done = true, failed = true, cancelled = true, expired = true, dead = true },
  failed = { failed = true, dead = true },
}
local replies, schedules, answer = {}, {}, {}

local function tell_client(client, id, state, result)
  replies[client] = replies[client] or {}
  local parts, size = replies[client], #result
  if size > tonumber(ARGV[5]) then
    size, result = -1, ''
  end
  parts[#parts + 1] = id .. ' ' .. state .. ' ' .. size .. '\n' .. result
end

local function record_verdict(id, state, result, ttl, client)
  redis.call('HSET', prefix .. id, 's', state, 'r', result)
  redis.call('PEXPIRE', prefix .. id, ttl)
  if client ~= '' then
    tell_client(client, id, state, result)
  end
  for watcher in string.gmatch(redis.call('HGET', KEYS[2], id) or '', '%S+') do
    if watcher ~= client then
      tell_client(watcher, id, state, result)
    end
  end
  redis.call('HDEL', KEYS[2], id)
end

local function inputs_of(inbox, count)
  local inputs = {}
  -- In parts, because unpack() takes some thousand values.
  for first = 0, count - 1, 1000 do
    local positions = {}
    for position = first, math.min(first + 999, count - 1) do
      positions[#positions + 1] = position
    end
    for _, input in ipairs(redis.call('HMGET', inbox, unpack(positions))) do
      inputs[#inputs + 1] = input
    end
  end
  return inputs
end

local function start(id, due, inputs)
  local record = prefix .. id
  local kept = redis.call('HMGET', record, 'p', 'l')
  local payload = kept[1] .. string.format('\n%.0f\n', due) .. table.concat(inputs, '\n')
  if due <= now then
    local entry = redis.call('XADD', ARGV[7] .. kept[2], '*', 'i', id, 'p', payload)
    redis.call('HSET', record, 'e', entry, 's', 'queued')
    redis.call('HDEL', record, 'p', 'j')
  else
    local schedule = ARGV[8] .. string.match(kept[2], '^(.*):')
    redis.call('HSET', record, 's', 'scheduled', 'p', payload)
    redis.call('HDEL', record, 'j')
    redis.call('ZADD', schedule, string.format('%.0f', due), id)
    schedules[schedule] = math.min(schedules[schedule] or due, due)
  end
end

local function refuse(id, result, ttl, client)
  redis.call('HDEL', prefix .. id, 'p', 'j')
  record_verdict(id, 'cancelled', result, ttl, client)
end

-- Gives the node `id` an input; nil, or the state and result that are the cause where it was cancelled instead.
local function give(id, position, state, cause_state, cause_result, ttl)
  local join = redis.call('HGET', prefix .. id, 'j')
  if not join then
    return nil
  end
  local inbox = ARGV[6] .. id
  local trigger, count, delay, eta, client = string.match(join, '^(%a+) (%d+) (%d+) (%d+) (%S*)$')
  if triggering[trigger][state] then
    local input = cause_state .. ' ' .. cause_result
    redis.call('HSET', inbox, position, input)
    if redis.call('HINCRBY', inbox, 'size', #input) <= tonumber(ARGV[10]) then
      if redis.call('HLEN', inbox) == count + 1 then
        start(id, tonumber(eta) > 0 and tonumber(eta) or now + delay, inputs_of(inbox, tonumber(count)))
        redis.call('DEL', inbox)
      end
      return nil
    end
    cause_state, cause_result = 'cancelled', ARGV[11]
  elseif cause_state == 'done' then
    cause_state, cause_result = 'cancelled', ''
  end
  refuse(id, cause_result, ttl, client)
  redis.call('DEL', inbox)
  return cause_state, cause_result
end

local function move_on(id, state, result, ttl)
  local ended = { { id, state, state, result } }
  for _, task in ipairs(ended) do
    local successors = redis.call('HGET', prefix .. task[1], 'n')
    redis.call('HDEL', prefix .. task[1], 'n')
    for position, successor in string.gmatch(successors or '', '(%d+) (%S+)') do
      local cause_state, cause_result = give(successor, position, task[2], task[3], task[4], ttl)
      if cause_state then
        ended[#ended + 1] = { successor, 'cancelled', cause_state, cause_result }
      end
    end
  end
end

for i = 12, #ARGV, 7 do
  local entry, id, state, result, ttl = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  -- An error means that the stream or its group vanished, and the entry with it.
  local pending = redis.pcall('XPENDING', stream, group, entry, entry, 1)[1]
  if type(pending) ~= 'table' then
    answer[#answer + 1] = -1
  elseif pending[2] ~= consumer or pending[4] ~= tonumber(ARGV[i + 1]) then
    answer[#answer + 1] = 0
  else
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    record_verdict(id, state, result, ttl, ARGV[i + 6])
    move_on(id, state, result, ttl)
    answer[#answer + 1] = 1
  end
end
for client, parts in pairs(replies) do
  redis.call('PUBLISH', ARGV[4] .. client, 'settled\n' .. table.concat(parts))
end
for schedule, due in pairs(schedules) do
  -- By the instant and not by the id: of tasks that are due together any may stand first.
  if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == due then
    redis.call('PUBLISH', ARGV[9], string.format('due %.0f', due - now))
  end
end
return answer
