-- entries: what stands in an entry of a stream.

-- Its fields by name, and as they stand there; both are empty when it is gone.
local function read_entry(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local body, fields = found and found[2] or {}, {}
  for i = 1, #body, 2 do
    fields[body[i]] = body[i + 1]
  end
  return fields, body
end
