-- entries: what stands in an entry of a stream.

-- `fields` of an entry as they stand there, with the payload itself in place of its size.
local function with_payload(fields)
  if fields[1] == 'i' and fields[3] == 'z' then
    fields[3], fields[4] = 'p', redis.call('HGET', prefix.task .. fields[2], 'p') or ''
  end
  return fields
end

-- Its fields by name, and as they stand there; both are empty when it is gone.
local function read_entry(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local body, fields = found and found[2] or {}, {}
  for i = 1, #body, 2 do
    fields[body[i]] = body[i + 1]
  end
  return fields, body
end
