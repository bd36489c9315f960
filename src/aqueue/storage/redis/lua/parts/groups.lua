-- groups: how far the group of a stream has come.

-- The id of the last entry that the group of a stream has given out; nil where it has no group.
local function last_delivered(stream)
  for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', stream)) do
    local facts = {}
    for i = 1, #group, 2 do
      facts[group[i]] = group[i + 1]
    end
    if facts.name == GROUP then
      return facts['last-delivered-id']
    end
  end
end
