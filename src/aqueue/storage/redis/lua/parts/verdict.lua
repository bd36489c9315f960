-- verdict: record that a task has ended, and tell the clients that wait for it.
--
-- A script calls record_verdict for each task and publish_verdicts at its end: one message for each client.
local is_watched = redis.call('EXISTS', key.watchers) == 1
local is_any_revoked = redis.call('EXISTS', key.revocations, key.to_cancel) > 0
local messages = {}

local function tell(client, id, state, result)
  local parts = messages[client]
  if parts == nil then
    -- Nobody listening is the common case of fire and forget: then there is nothing to build.
    parts = redis.call('PUBSUB', 'NUMSUB', prefix.replies .. client)[2] > 0 and {} or false
    messages[client] = parts
  end
  if not parts then
    return
  end
  local size = #result
  if size > TOLD_BYTES then
    size, result = -1, ''
  end
  parts[#parts + 1] = id .. ' ' .. state .. ' ' .. size .. '\n'
  parts[#parts + 1] = result
end

local function record_verdict(id, state, result, ttl, client)
  local record = prefix.task .. id
  if redis.call('HSET', record, 's', state, 'r', result) < 2 then
    -- It had a state, so it may have a payload, too.
    redis.call('HDEL', record, 'p')
  end
  redis.call('PEXPIRE', record, ttl)
  if client ~= '' then
    tell(client, id, state, result)
  end
  if is_watched then
    for watcher in string.gmatch(redis.call('HGET', key.watchers, id) or '', '%S+') do
      if watcher ~= client then
        tell(watcher, id, state, result)
      end
    end
    redis.call('HDEL', key.watchers, id)
  end
  if is_any_revoked then
    redis.call('ZREM', key.revocations, 'once ' .. id, 'ever ' .. id)
    redis.call('SREM', key.to_cancel, id)
  end
end

local function publish_verdicts()
  for client, parts in pairs(messages) do
    if parts then
      redis.call('PUBLISH', prefix.replies .. client, 'settled\n' .. table.concat(parts))
    end
  end
end
