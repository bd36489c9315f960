-- bury: keep a dead letter of a task that is about to get its verdict.
--
-- Parts: clock, entries.

-- `count` is how often the entry was delivered, `ttl` for how many ms the letter is kept.
local function bury(lane, entry, count, id, state, result, ttl)
  local fields, body = read_entry(prefix.stream .. lane, entry)
  local payload = fields.p or (fields.z and redis.call('HGET', prefix.task .. id, 'p'))
  local letter, now = prefix.dead .. id, clock()
  local at = string.format('%.0f', now)
  -- An entry of a stranger has no payload: all that is in it stands for one.
  redis.call('HSET', letter, 'p', payload or table.concat(body, ' '), 'l', lane, 's', state, 'r', result)
  redis.call('HSET', letter, 'f', fields.f or 0, 'b', (fields.b or 0) + count, 'a', at)
  redis.call('PEXPIRE', letter, ttl)
  redis.call('ZREMRANGEBYSCORE', key.dead, '-inf', at)
  redis.call('ZADD', key.dead, string.format('%.0f', now + ttl), id)
  local excess = redis.call('ZCARD', key.dead) - MOST_DEAD_LETTERS
  for _, oldest in ipairs(excess > 0 and redis.call('ZRANGE', key.dead, 0, excess - 1) or {}) do
    redis.call('DEL', prefix.dead .. oldest)
    redis.call('ZREM', key.dead, oldest)
  end
end
