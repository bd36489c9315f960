-- leases: which consumer an entry is lent to. The pending list of a stream's group is the lease table.

-- What the pending list says of an entry: {entry, consumer, idle ms, deliveries}; nil where it is not lent.
local function lease_of(stream, entry)
  -- An error means that the stream or its group vanished, and the entry with it.
  local pending = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)[1]
  return type(pending) == 'table' and pending or nil
end

-- 1 if the receipt of a consumer holds, 0 if another consumer has the entry, -1 if the entry is gone. The count is what
-- a later delivery of the same entry raises.
local function ownership(stream, entry, consumer, count)
  local lease = lease_of(stream, entry)
  if not lease then
    return -1
  end
  return lease[2] == consumer and lease[4] == tonumber(count) and 1 or 0
end
