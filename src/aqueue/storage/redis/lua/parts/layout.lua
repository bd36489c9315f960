-- layout: the note that says which layout the keys of this namespace have.

-- Writes the note where there is none, or one of an older layout. A damaged one stays as it is.
local function state_layout()
  local stated = redis.call('HGET', key.layout, 'layout') or 0
  if (tonumber(stated) or LAYOUT) < LAYOUT then
    redis.call('HSET', key.layout, 'layout', LAYOUT, 'oldest_reader', OLDEST_READER, 'written_by', VERSION)
  end
end
