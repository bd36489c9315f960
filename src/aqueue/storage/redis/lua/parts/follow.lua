-- follow: what follows from a verdict for those who wait for it, and what clients are told of it.
--
-- A part that other scripts begin with. They have the keys and arguments below before their own, call record_verdict and
-- move_on, and publish at their end.
--
-- KEYS  1 watchers   2 marks   3 tasks to cancel
-- ARGV  1 group   2 prefix of record keys   3 prefix of streams   4 prefix of schedules   5 prefix of inboxes
--       6 prefix of reply channels   7 control channel   8 longest result that is told   9 most bytes of inputs
--       10 the cause when there are more
local group, prefix = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_watched = redis.call('EXISTS', KEYS[1]) == 1
local is_marked = redis.call('EXISTS', KEYS[2], KEYS[3]) > 0
local triggering = {
  done = { done = true },
  ended = { done = true, failed = true, cancelled = true, expired = true, dead = true },
  failed = { failed = true, dead = true },
}
local replies, schedules = {}, {}

local function tell(client, id, state, result)
  local parts, size = replies[client], #result
  if parts == nil then
    -- Nobody listening is the common case of fire and forget: then there is nothing to build.
    parts = redis.call('PUBSUB', 'NUMSUB', ARGV[6] .. client)[2] > 0 and {} or false
    replies[client] = parts
  end
  if parts then
    if size > tonumber(ARGV[8]) then
      size, result = -1, ''
    end
    parts[#parts + 1] = id .. ' ' .. state .. ' ' .. size .. '\n' .. result
  end
end

local function record_verdict(id, state, result, ttl, client)
  redis.call('HSET', prefix .. id, 's', state, 'r', result)
  redis.call('PEXPIRE', prefix .. id, ttl)
  if client ~= '' then
    tell(client, id, state, result)
  end
  if is_watched then
    for watcher in string.gmatch(redis.call('HGET', KEYS[1], id) or '', '%S+') do
      if watcher ~= client then
        tell(watcher, id, state, result)
      end
    end
    redis.call('HDEL', KEYS[1], id)
  end
  if is_marked then
    redis.call('ZREM', KEYS[2], 'once ' .. id, 'ever ' .. id)
    redis.call('SREM', KEYS[3], id)
  end
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
  return table.concat(inputs)
end

-- Puts the node `id` in line, or in the schedule, with its inputs in its payload: the form is that of message.joined.
local function start(id, due, inputs)
  local record = prefix .. id
  local kept = redis.call('HMGET', record, 'p', 'l')
  local head = '\0join:' .. string.format('%.0f %d\n', due, #kept[1])
  local payload = head .. kept[1] .. inputs
  redis.call('HDEL', record, 'p', 'j')
  if due <= now then
    local entry = redis.call('XADD', ARGV[3] .. kept[2], '*', 'i', id, 'p', payload)
    redis.call('HSET', record, 'e', entry, 's', 'queued')
  else
    local schedule = ARGV[4] .. string.match(kept[2], '^(.*):')
    redis.call('HSET', record, 's', 'scheduled', 'p', payload)
    redis.call('ZADD', schedule, string.format('%.0f', due), id)
    schedules[schedule] = math.min(schedules[schedule] or due, due)
  end
end

-- Gives the node `id` an input; nil, or the state and result that are the cause where it was cancelled instead.
local function give(stamp, id, position, state, cause_state, cause_result, ttl)
  local join = redis.call('HGET', prefix .. id, 'j')
  if not join or string.match(join, '^%S+') ~= stamp then
    -- It has ended, and somebody may have enqueued another task of this id.
    return nil
  end
  local inbox = ARGV[5] .. id
  local trigger, count, delay, eta, client = string.match(join, ' (%a+) (%d+) (%d+) (%d+) (%S*)$')
  if triggering[trigger][state] then
    local input = cause_state .. ' ' .. #cause_result .. '\n' .. cause_result
    redis.call('HSET', inbox, position, input)
    if redis.call('HINCRBY', inbox, 'size', #input) <= tonumber(ARGV[9]) then
      if redis.call('HLEN', inbox) == count + 1 then
        start(id, tonumber(eta) > 0 and tonumber(eta) or now + delay, inputs_of(inbox, tonumber(count)))
        redis.call('DEL', inbox)
      end
      return nil
    end
    cause_state, cause_result = 'cancelled', ARGV[10]
  elseif cause_state == 'done' then
    cause_state, cause_result = 'cancelled', ''
  end
  redis.call('HDEL', prefix .. id, 'p', 'j')
  redis.call('DEL', inbox)
  record_verdict(id, 'cancelled', cause_result, ttl, client)
  return cause_state, cause_result
end

local function move_on(id, state, result, ttl)
  local ended = { { id, state, state, result } }
  for _, task in ipairs(ended) do
    local successors = redis.call('HGET', prefix .. task[1], 'n')
    redis.call('HDEL', prefix .. task[1], 'n')
    local stamp, those = string.match(successors or '', '^(%S+) (.*)$')
    for position, successor in string.gmatch(those or '', '(%d+) (%S+)') do
      local cause_state, cause_result = give(stamp, successor, position, task[2], task[3], task[4], ttl)
      if cause_state then
        ended[#ended + 1] = { successor, 'cancelled', cause_state, cause_result }
      end
    end
  end
end

local function publish()
  for client, parts in pairs(replies) do
    if parts then
      redis.call('PUBLISH', ARGV[6] .. client, 'settled\n' .. table.concat(parts))
    end
  end
  for schedule, due in pairs(schedules) do
    -- By the instant and not by the id: of tasks that are due together any may stand first.
    if tonumber(redis.call('ZRANGE', schedule, 0, 0, 'WITHSCORES')[2]) == due then
      redis.call('PUBLISH', ARGV[7], string.format('due %.0f', due - now))
    end
  end
end

