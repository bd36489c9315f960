-- ready: a page of what is in line at one level.
--
-- KEYS  1 stream of the level
-- ARGV  1 group   2 entry after which the page begins ('' for the first)   3 most tasks   4 prefix of record keys
-- Returns {entry, fields, state ('' if none is recorded)} per task, the oldest first. Cost: O(log n) per task.
local after = ARGV[2]
if after == '' then
  after = '0-0'
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
  for _, group in ipairs(groups) do
    local facts = {}
    for i = 1, #group, 2 do
      facts[group[i]] = group[i + 1]
    end
    if facts.name == ARGV[1] then
      after = facts['last-delivered-id']
    end
  end
end
local page = {}
for _, found in ipairs(redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[3])) do
  local fields = found[2]
  local state = fields[1] == 'i' and redis.call('HGET', ARGV[4] .. fields[2], 's')
  page[#page + 1] = { found[1], fields, state or '' }
end
return page
