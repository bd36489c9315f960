-- settle: record the verdicts of deliveries of one lane, each if its receipt still holds, and move the nodes on that
-- wait for them.
--
-- What is shared. A running task is in two places: its entry, in the stream of its lane and in the pending list of the
-- group there, and its record. Other calls change both at any time: reclaim, adopt and renew the pending list, cancel
-- and report the record. Clients read the record. This script makes one fact of the verdict, the result, the
-- acknowledgement, the deletion of the entry and all that follows for other tasks.
--
-- Races, and what guards against each:
-- * A worker that lost its lease settles a task that its successor runs. The pending list guards: the entry must be
--   lent to this consumer with this count, and each takeover raises the count. Otherwise nothing is written, and the
--   answer is 0.
-- * A reply is lost, and the settlement comes again. The entry guards: it is deleted with the verdict, so the second
--   call does not find it. The answer is -1, which a caller that has asked twice takes for success. Within one batch,
--   which deletes its entries together at the end, `is_settled` guards.
-- * The server or the worker crashes. There is no instant between the verdict, which alone would run the task again,
--   the acknowledgement, which alone would lose the result, and what follows, without which a workflow would wait for
--   ever.
-- * A client starts to wait while the verdict is on its way. The key `watchers` guards: look reads the record and adds
--   the client in one step, so either look sees the verdict, or record_verdict finds the client.
-- * A revocation or a request to stop arrives late. The record guards: revoke and cancel read it first, and
--   record_verdict removes what was about this task from `revocations` and `to_cancel`.
-- * A workflow is pushed again with ids that were in use. The stamp, the instant of the push, guards: it stands at both
--   ends of each edge, and a node takes no input with another stamp than its own.
-- * The server is full. The first command is one that frees memory, after which a server accepts the rest of a script:
--   a queue that is full must be able to drain.
--
-- Parts: leases, verdict, bury.
--
-- ARGV  1 consumer   2 lane   3 ms for which a dead letter of each is kept (0: none is)
--       then per task: entry, count, id, state, result, ttl ms, client that waits ('' for none)
-- Returns per task 1 (settled), 0 (another consumer owns it) or -1 (the entry is gone). Cost: O(log pending) per task,
-- O(1) per node that waits for it, and O(inputs) for one that has them all.
local consumer, lane, letter_ttl = ARGV[1], ARGV[2], ARGV[3]
local stream = prefix.stream .. lane
redis.call('XACK', stream, GROUP, '0-1')
local settled, is_settled, answer = {}, {}, {}
for i = 4, #ARGV, 7 do
  local entry, count, id, state, result, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local owned = is_settled[entry] and -1 or ownership(stream, entry, consumer, count)
  if owned == 1 then
    if letter_ttl ~= '0' then
      bury(lane, entry, count, id, state, result, letter_ttl)
    end
    record_verdict(id, state, result, ttl, ARGV[i + 6])
    move_on(id, state, result, ttl)
    settled[#settled + 1] = entry
    is_settled[entry] = true
  end
  answer[#answer + 1] = owned
end
if #settled > 0 then
  redis.call('XACK', stream, GROUP, unpack(settled))
  redis.call('XDEL', stream, unpack(settled))
end
publish_verdicts()
announce()
return answer
