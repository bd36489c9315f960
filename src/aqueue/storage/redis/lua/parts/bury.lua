-- bury: keep a dead letter of a task that is about to get its verdict.
--
-- A part that other scripts begin with. They say where with a table: `letters` is the key of all letters by the instant
-- of their end, `prefix` that of each letter, `ttl` for how many ms one is kept ('0': it is not), `most` how many are,
-- and `level` the one of the task.
local function bury(graveyard, stream, entry, count, id, state, result)
  if graveyard.ttl == '0' then
    return
  end
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local body, fields = found and found[2] or {}, {}
  for i = 1, #body, 2 do
    fields[body[i]] = body[i + 1]
  end
  local time = redis.call('TIME')
  local now, letter = time[1] * 1000 + math.floor(time[2] / 1000), graveyard.prefix .. id
  -- An entry of a stranger has no payload: all that is in it stands for one.
  redis.call('HSET', letter, 'p', fields.p or table.concat(body, ' '), 'l', graveyard.level, 's', state, 'r', result)
  redis.call('HSET', letter, 'f', fields.f or 0, 'b', (fields.b or 0) + count, 'a', string.format('%.0f', now))
  redis.call('PEXPIRE', letter, graveyard.ttl)
  redis.call('ZREMRANGEBYSCORE', graveyard.letters, '-inf', string.format('%.0f', now))
  redis.call('ZADD', graveyard.letters, string.format('%.0f', now + graveyard.ttl), id)
  local excess = redis.call('ZCARD', graveyard.letters) - graveyard.most
  for _, oldest in ipairs(excess > 0 and redis.call('ZRANGE', graveyard.letters, 0, excess - 1) or {}) do
    redis.call('DEL', graveyard.prefix .. oldest)
    redis.call('ZREM', graveyard.letters, oldest)
  end
end

