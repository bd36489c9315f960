-- look: the state, result and progress of tasks, as one consistent picture each.
--
-- Atomic because a client that looks and then asks to be told could miss the verdict in between.
--
-- KEYS  1 watchers   then records
-- ARGV  1 group   2 prefix of streams   3 length of the prefix of record keys   4 client that watches ('' for none)
-- Returns {state ('' if unknown), result, progress} per record. Cost: O(log pending) per record.
local group, prefix, watcher = ARGV[1], ARGV[2], ARGV[4]
local is_verdict = { done = true, failed = true, cancelled = true, expired = true, dead = true }
local seen = {}

local function watch(id)
  local clients = redis.call('HGET', KEYS[1], id)
  if not clients then
    redis.call('HSET', KEYS[1], id, watcher)
  elseif not string.find(' ' .. clients .. ' ', ' ' .. watcher .. ' ', 1, true) then
    redis.call('HSET', KEYS[1], id, clients .. ' ' .. watcher)
  end
end

for k = 2, #KEYS do
  local kept = redis.call('HMGET', KEYS[k], 'e', 's', 'r', 'g', 'l')
  local entry, state = kept[1], kept[2] or 'queued'
  if not entry and not kept[2] then
    state = ''
  elseif entry and entry ~= '' and (state == 'queued' or state == 'retrying') then
    local pending = redis.pcall('XPENDING', prefix .. (kept[5] or 'default:0'), group, entry, entry, 1)[1]
    if type(pending) == 'table' then
      state = 'running'
    end
  end
  if watcher ~= '' and state ~= '' and not is_verdict[state] then
    watch(string.sub(KEYS[k], tonumber(ARGV[3]) + 1))
  end
  seen[k - 1] = { state, kept[3] or '', kept[4] or '' }
end
return seen
