-- cancel: end a task that is not lent, or ask for the one that is to be stopped; and keep another one instead of it.
--
-- Atomic because a reader may take the task at any moment: either it is out of the line before, and nobody runs it, or
-- it is lent, and its worker gets the request. Because a task that is replaced must neither be lost nor run twice. And
-- because nodes that wait for it would wait for ever.
--
-- Parts: leases, follow, envelopes.
--
-- ARGV  1 id   2 result   3 ttl ms   4 client that waits ('' for none)   5 1: also one that is lent, 0: not that
--       then, if there is one instead: its envelope
-- Returns 1 (done), 0 (it has another verdict, or is unknown) or -1 (it was cancelled before). Cost: O(log n), and that
-- of follow.
local id, other = ARGV[1], 6
local record, is_replaced = prefix.task .. id, ARGV[other] ~= nil
local kept = redis.call('HMGET', record, 'e', 's', 'l')
local entry, state, lane = kept[1], kept[2] or 'queued', kept[3] or 'default:0'
if state == 'cancelled' then
  -- It was not this very call, repeated, when there is nothing instead.
  return is_replaced and redis.call('EXISTS', prefix.task .. ARGV[other]) == 0 and 0 or -1
elseif not entry or is_verdict[state] then
  return 0
end
local stream = prefix.stream .. lane
local is_lent = entry ~= '' and lease_of(stream, entry) ~= nil
if is_lent and ARGV[5] == '0' then
  return 0
end
-- On a server that is full this is refused before anything has happened; what follows begins by freeing memory.
if is_replaced then
  enter(envelope_at(other))
end
redis.call('SREM', key.to_cancel, id)
if is_lent then
  redis.call('SADD', key.to_cancel, id)
  redis.call('PUBLISH', key.control, 'cancel ' .. id)
else
  if entry ~= '' then
    redis.call('XDEL', stream, entry)
  elseif state == 'waiting' then
    redis.call('DEL', prefix.inbox .. id)
  else
    redis.call('ZREM', prefix.due .. queue_of(lane), id)
  end
  redis.call('HDEL', record, 'p', 'b', 'f', 'j')
  record_verdict(id, 'cancelled', ARGV[2], ARGV[3], ARGV[4])
  move_on(id, 'cancelled', ARGV[2], ARGV[3])
end
announce()
publish_verdicts()
return 1
