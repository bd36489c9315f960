-- follow: what follows from a verdict for the nodes of a workflow that wait for it.
--
-- A script calls move_on behind record_verdict, and announce and publish_verdicts at its end.
--
-- Parts: enter, verdicts, verdict.
local triggering = { done = { done = true }, ended = is_verdict, failed = { failed = true, dead = true } }

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
  local record = prefix.task .. id
  local kept = redis.call('HMGET', record, 'p', 'l')
  local head = '\0join:' .. string.format('%.0f %d\n', due > 0 and due or clock(), #kept[1])
  redis.call('HDEL', record, 'p', 'j')
  enter(id, head .. kept[1] .. inputs, kept[2], due, 'queued')
end

-- Gives the node `id` an input. Returns nil, or if the node was cancelled the state and the result that are the cause.
local function give(stamp, id, position, state, cause_state, cause_result, ttl)
  local join = redis.call('HGET', prefix.task .. id, 'j')
  if not join or string.match(join, '^%S+') ~= stamp then
    -- It has ended, and somebody may have enqueued another task of this id.
    return nil
  end
  local inbox = prefix.inbox .. id
  local trigger, count, when, client = string.match(join, ' (%a+) (%d+) (%+?%d+) (%S*)$')
  if triggering[trigger][state] then
    local input = cause_state .. ' ' .. #cause_result .. '\n' .. cause_result
    redis.call('HSET', inbox, position, input)
    if redis.call('HINCRBY', inbox, 'size', #input) <= MOST_INPUT_BYTES then
      if redis.call('HLEN', inbox) == count + 1 then
        start(id, instant(when), inputs_of(inbox, tonumber(count)))
        redis.call('DEL', inbox)
      end
      return nil
    end
    cause_state, cause_result = 'cancelled', TOO_MUCH_INPUT
  elseif cause_state == 'done' then
    cause_state, cause_result = 'cancelled', ''
  end
  redis.call('HDEL', prefix.task .. id, 'p', 'j')
  redis.call('DEL', inbox)
  record_verdict(id, 'cancelled', cause_result, ttl, client)
  return cause_state, cause_result
end

local function move_on(id, state, result, ttl)
  local ended = { { id, state, state, result } }
  for _, task in ipairs(ended) do
    local record = prefix.task .. task[1]
    local successors = redis.call('HGET', record, 'n')
    redis.call('HDEL', record, 'n')
    local stamp, those = string.match(successors or '', '^(%S+) (.*)$')
    for position, successor in string.gmatch(those or '', '(%d+) (%S+)') do
      local cause_state, cause_result = give(stamp, successor, position, task[2], task[3], task[4], ttl)
      if cause_state then
        ended[#ended + 1] = { successor, 'cancelled', cause_state, cause_result }
      end
    end
  end
end
