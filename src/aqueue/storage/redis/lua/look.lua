-- look: the state, result and progress of tasks, as one consistent picture each.
--
-- KEYS  records
-- ARGV  1 group   2 prefix of streams
-- Returns {state ('' if unknown), result, progress} per record. Cost: O(log pending) per record.
local group, prefix = ARGV[1], ARGV[2]
local seen = {}
for k = 1, #KEYS do
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
  seen[k] = { state, kept[3] or '', kept[4] or '' }
end
return seen
