-- Every statement that runs more than once, as `-- name: what it is for` and its text. `{rows}` is a list of rows, and
-- `{present}` the condition of that name for the delivery that a row, or the parameters, begin with.

-- present: the proof of ownership, a part of others: a delivery is the present one of its task
(task.seq, task.namespace, task.consumer, task.count, task.place) = ({delivery}, 'leased')

-- next_number: the last number that was given out
SELECT last FROM sequence

-- save_number: the last number that is given out now
UPDATE sequence SET last = ?

-- enter: new tasks get in line, in the schedule or among those that wait; nothing happens to those whose id is known
INSERT INTO task (seq, namespace, id, queue, priority, place, state, at, earlier, payload)
VALUES {rows}
ON CONFLICT (namespace, id) DO NOTHING

-- has_entered: whether a task got in line under a number
SELECT EXISTS (SELECT * FROM task WHERE seq = ?)

-- free_id: forget a task whose result has expired, so that its id can be pushed again
DELETE FROM task WHERE namespace = ? AND id = ? AND place = 'settled' AND at <= ?

-- known: those of some ids that are known
SELECT id FROM task
WHERE namespace = ? AND id IN (SELECT value FROM json_each(?)) AND NOT (place = 'settled' AND at <= ?)

-- free_ids: forget those of some tasks whose result has expired
DELETE FROM task
WHERE namespace = ? AND id IN (SELECT value FROM json_each(?)) AND place = 'settled' AND +at <= ?

-- add_nodes: what tasks wait for
INSERT INTO node (namespace, id, condition, missing, delay, eta, client) VALUES {rows}

-- add_edges: the tasks that they wait for
INSERT INTO edge (namespace, source, target, position) VALUES {rows}

-- successors: the nodes that wait for a task, and the number of their inputs that it gives
SELECT target, condition, count(*) FROM edge INDEXED BY edge_source
CROSS JOIN node ON node.namespace = edge.namespace AND node.id = edge.target
WHERE edge.namespace = ? AND source = ?
GROUP BY target, condition
ORDER BY min(edge.rowid)

-- give: the input that a task gives to the nodes that wait for it
UPDATE edge SET input = ? WHERE namespace = ? AND source = ?

-- take: a waiting task got inputs, of some bytes
UPDATE node SET missing = missing - ?, size = size + ? WHERE namespace = ? AND id = ?
RETURNING missing, size, delay, eta

-- inputs: what a waiting task got, in its order
SELECT input FROM edge WHERE namespace = ? AND target = ? ORDER BY position

-- enter_again: a task gets in line, or in the schedule, under a new number
UPDATE task
SET seq = ?, place = ?, state = ?, at = ?, failures = coalesce(?, failures), payload = coalesce(?, payload),
    earlier = earlier + count, count = 0, consumer = ''
WHERE seq = ?

-- drop_node: a task no longer waits
DELETE FROM node WHERE namespace = ? AND id = ? RETURNING client

-- drop_edges: and gets no more inputs
DELETE FROM edge WHERE namespace = ? AND target = ?

-- claim: lend the first ready tasks; the inner query reads no more than the limit in each queue, however long it is
UPDATE task
SET place = 'leased', state = 'running', consumer = :consumer, at = :now_ms + :lease_ms, lease = :lease_ms,
    count = count + 1
WHERE seq IN (
    SELECT first.seq
    FROM json_each(:queues) AS line
    CROSS JOIN task AS first ON first.seq IN (
        SELECT seq FROM task
        WHERE namespace = :namespace AND queue = line.value AND place = 'ready'
        ORDER BY priority DESC, seq
        LIMIT :limit
    )
    WHERE NOT EXISTS (SELECT * FROM pause WHERE namespace = :namespace AND pause.queue IN (line.value, '*'))
    ORDER BY first.priority DESC, line.key, first.seq
    LIMIT :limit
)
RETURNING seq, id, CASE WHEN length(payload) <= :most_lent THEN payload END, length(payload), failures, earlier, count, priority, queue

-- lent: what is lent to a consumer
SELECT
    seq, id, CASE WHEN length(payload) <= :most_lent THEN payload END, length(payload), failures, earlier, count
FROM task
WHERE namespace = :namespace AND place = 'leased' AND consumer = :consumer
    AND queue IN (SELECT value FROM json_each(:queues))
    AND NOT EXISTS (SELECT * FROM pause WHERE namespace = :namespace AND pause.queue IN (task.queue, '*'))

-- end: the verdicts on tasks, each if its delivery is still the present one
UPDATE task
SET place = 'settled', state = column5, result = column6, at = column7, client = column8, told = column9,
    payload = x'', consumer = ''
FROM (VALUES {rows})
WHERE {present}

-- has_ended: whether the last thing to tell about a task has this number
SELECT EXISTS (SELECT * FROM task WHERE seq = ? AND told = ?)

-- withdraw: the verdict on a task that is not leased
UPDATE task
SET place = 'settled', state = 'cancelled', result = ?, at = ?, client = ?, told = ?, payload = x''
WHERE seq = ?

-- held: whether a delivery is the present one of its task
SELECT EXISTS (SELECT * FROM task WHERE {present})

-- payload: the payload of a delivery that is the present one of its task
SELECT payload FROM task WHERE {present}

-- report: the progress of a task
UPDATE task SET progress = ?, client = ?, told = ? WHERE seq = ?

-- renew: a new lease
UPDATE task SET at = ?, lease = ? WHERE seq = ?

-- has_revocations: whether anything was revoked or asked to stop: mostly not
SELECT EXISTS (SELECT * FROM revocation WHERE namespace = :namespace)
    OR EXISTS (SELECT * FROM cancellation WHERE namespace = :namespace)

-- revoke: keep a revocation, instead of an earlier one under the same key
INSERT INTO revocation (namespace, key, once, ends) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET once = excluded.once, ends = excluded.ends

-- restore: remove a revocation
DELETE FROM revocation WHERE namespace = ? AND key = ?

-- forget_revocations: drop revocations that have ended
DELETE FROM revocation WHERE namespace = ? AND ends BETWEEN 1 AND ?

-- holds_once: whether the revocation under a key, if there is one, holds for one task only
SELECT once FROM revocation WHERE namespace = ? AND key = ?

-- is_to_cancel: whether a task was asked to stop
SELECT EXISTS (SELECT * FROM cancellation WHERE namespace = ? AND id = ?)

-- ask_to_stop: a leased task has to stop
INSERT INTO cancellation (namespace, id, asked) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET asked = excluded.asked

-- id_of: the id of the task that has a number
SELECT id FROM task WHERE seq = ?

-- stop_asking: a task that has its verdict need not stop
DELETE FROM cancellation WHERE namespace = ? AND id = ?

-- unsettled: a task by its id, unless it has its verdict
SELECT seq, place, payload, queue, priority FROM task WHERE namespace = ? AND id = ? AND place <> 'settled'

-- is_settled: whether a task has its verdict; no row when it is unknown
SELECT place = 'settled' FROM task WHERE namespace = ? AND id = ? AND NOT (place = 'settled' AND at <= ?)

-- forget: drop tasks whose result has expired, the oldest first
DELETE FROM task WHERE seq IN (
    SELECT seq FROM task WHERE namespace = ? AND place = 'settled' AND at <= ? ORDER BY at LIMIT ?
)

-- schedule_state: the state of a schedule
SELECT state FROM schedule WHERE namespace = ? AND name = ?

-- save_schedule: the new state of a schedule
INSERT INTO schedule (namespace, name, state, changed) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state, changed = max(changed, excluded.changed)

-- drop_forgotten: drop what is left of the schedule that was forgotten before, which is no longer news
DELETE FROM schedule WHERE namespace = ? AND state = x''

-- schedules: all that have a state
SELECT name, state FROM schedule WHERE namespace = ? AND state <> x''

-- due: scheduled tasks that are due, the earliest first
SELECT seq, state FROM task WHERE namespace = ? AND place = 'scheduled' AND at <= ? ORDER BY at, seq LIMIT ?

-- next_due: when the next scheduled task is due
SELECT min(at) FROM task WHERE namespace = ? AND place = 'scheduled'

-- last_reclaim: when a worker last reclaimed, and by when one should have reclaimed again
SELECT reclaimed_at, reclaim_due FROM namespace WHERE id = ?

-- save_reclaim: a worker reclaims
UPDATE namespace SET reclaimed_at = ?, reclaim_due = ? WHERE id = ?

-- begin_leases_anew: leases that are shorter than a time in which no worker reclaimed
UPDATE task SET at = :now_ms + lease WHERE namespace = :namespace AND place = 'leased' AND lease < :pause_ms

-- reclaim: lend tasks whose lease has run out to another consumer
UPDATE task SET consumer = :consumer, at = :now_ms + :lease_ms, lease = :lease_ms, count = count + 1
WHERE seq IN (
    SELECT seq FROM task
    WHERE namespace = :namespace AND place = 'leased' AND at <= :now_ms AND count BETWEEN :fewest AND :most
        AND queue IN (SELECT value FROM json_each(:queues))
        AND NOT EXISTS (SELECT * FROM pause WHERE namespace = :namespace AND pause.queue IN (task.queue, '*'))
    ORDER BY at
    LIMIT :limit
)
RETURNING seq, id, CASE WHEN length(payload) <= :most_lent THEN payload END, length(payload), failures, earlier, count

-- see_worker: a sign of life
INSERT INTO worker (namespace, consumer, description, seen) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET description = excluded.description, seen = excluded.seen

-- retire: a worker that is gone
DELETE FROM worker WHERE namespace = ? AND consumer = ?

-- workers: those that are not retired
SELECT consumer, description, seen FROM worker WHERE namespace = ? ORDER BY consumer

-- record: what is known of a task, unless its result has expired
SELECT state, result, progress FROM task
WHERE namespace = ? AND id = ? AND NOT (place = 'settled' AND at <= ?)

-- count_ready: the number of ready tasks in each queue, and since when the first waits
SELECT queue, count(*), min(at) FROM task WHERE namespace = ? AND place = 'ready' GROUP BY queue

-- count_leased: the number of running tasks in each queue
SELECT queue, count(*) FROM task WHERE namespace = ? AND place = 'leased' GROUP BY queue

-- count_scheduled: the number of tasks in each queue that are due later
SELECT queue, count(*) FROM task WHERE namespace = ? AND place = 'scheduled' GROUP BY queue

-- watch: a client wants to be told about a task that it did not enqueue
INSERT INTO watch (namespace, id, client) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- has_watchers: whether any client watches a task: mostly not
SELECT EXISTS (SELECT * FROM watch WHERE namespace = ?)

-- tell_watchers: there is something to tell about a task; its own client knows already
UPDATE watch SET told = ? WHERE namespace = ? AND id = (SELECT id FROM task WHERE seq = ?) AND client <> ?
RETURNING client

-- news: what a client is to be told since a number: its tasks and others, permits, cancellations, schedules; no large results
SELECT told, id, state, CASE WHEN length(result) <= :largest THEN result END, progress
FROM task
WHERE namespace = :namespace AND client = :client AND client <> '' AND told > :last
UNION ALL
SELECT watch.told, task.id, state, CASE WHEN length(result) <= :largest THEN result END, progress
FROM watch
CROSS JOIN task ON task.namespace = watch.namespace AND task.id = watch.id
WHERE watch.namespace = :namespace AND watch.client = :client AND watch.told > 0 AND watch.told > :last
UNION ALL
SELECT number, name, 'freed', NULL, NULL FROM fact WHERE namespace = :namespace AND kind = 'waiting' AND number > :last
UNION ALL
SELECT asked, id, 'cancel', NULL, x'' FROM cancellation WHERE namespace = :namespace AND asked > :last
UNION ALL
SELECT changed, name, 'schedule', NULL, x'' FROM schedule WHERE namespace = :namespace AND changed > :last
ORDER BY told
LIMIT :limit

-- fact: one fact that has not lapsed
SELECT value, number, until FROM fact WHERE namespace = ? AND kind = ? AND name = ? AND token = ? AND until > ?

-- keep_fact: a new fact, or one that takes the place of another
INSERT INTO fact (namespace, kind, name, token, until, number, value) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, kind, name, token) DO UPDATE
SET until = excluded.until, number = excluded.number, value = excluded.value

-- drop_fact: remove a fact
DELETE FROM fact WHERE namespace = ? AND kind = ? AND name = ? AND token = ?

-- drop_facts: remove all facts of one name
DELETE FROM fact WHERE namespace = ? AND kind = ? AND name = ?

-- forget_facts: drop facts that have lapsed, the oldest first
DELETE FROM fact WHERE rowid IN (SELECT rowid FROM fact WHERE namespace = ? AND until <= ? ORDER BY until LIMIT ?)

-- count_facts: the number of facts of one name that lapse after an instant
SELECT count(*) FROM fact WHERE namespace = ? AND kind = ? AND name = ? AND until > ?

-- first_fact: when the first fact of one name lapses, after an instant
SELECT min(until) FROM fact WHERE namespace = ? AND kind = ? AND name = ? AND until > ?

-- late_fact: when the fact of one name lapses that a given number of others outlast
SELECT until FROM fact WHERE namespace = ? AND kind = ? AND name = ? ORDER BY until DESC LIMIT 1 OFFSET ?

-- permits: all permits that are held, the first to lapse first
SELECT name, token, until FROM fact WHERE namespace = ? AND kind = 'permit' AND until > ? ORDER BY until

-- next_lane: the lane of ready tasks that comes next, queue by queue
SELECT queue, priority FROM (
    SELECT * FROM (
        SELECT queue, priority FROM task
        WHERE namespace = :namespace AND place = 'ready' AND queue = :queue AND priority < :priority
        ORDER BY priority DESC
        LIMIT 1
    )
    UNION ALL
    SELECT * FROM (
        SELECT queue, priority FROM task
        WHERE namespace = :namespace AND place = 'ready' AND queue > :queue
        ORDER BY queue, priority DESC
        LIMIT 1
    )
)
LIMIT 1

-- walk_ready: a page of what is in line in one lane
SELECT seq, id, state, payload, queue, priority, at, failures, count, consumer FROM task
WHERE namespace = :namespace AND place = 'ready' AND queue = :queue AND priority = :priority AND seq > :seq
ORDER BY seq
LIMIT :limit

-- walk_scheduled: a page of what is due later
SELECT seq, id, state, payload, queue, priority, at, failures, count, consumer FROM task
WHERE namespace = :namespace AND place = 'scheduled' AND (at, queue, seq) > (:at, :queue, :seq)
ORDER BY at, queue, seq
LIMIT :limit

-- walk_lent: a page of what is lent
SELECT seq, id, state, payload, queue, priority, at, failures, count, consumer FROM task
WHERE namespace = :namespace AND place = 'leased' AND (at, queue, seq) > (:at, :queue, :seq)
ORDER BY at, queue, seq
LIMIT :limit

-- walk_waiting: a page of what waits for others
SELECT seq, id, state, payload, queue, priority, at, failures, count, consumer FROM task
WHERE namespace = :namespace AND place = 'waiting' AND seq > :seq
ORDER BY seq
LIMIT :limit

-- walk_ended: a page of verdicts
SELECT at, seq, id, state, result FROM task
WHERE namespace = :namespace AND place = 'settled' AND at > :now_ms AND (at, seq) > (:at, :seq)
ORDER BY at, seq
LIMIT :limit

-- walk_dead: a page of dead letters, the latest first
SELECT number, id, state, payload, queue, priority, ended, failures, deliveries, result FROM dead_letter
WHERE namespace = :namespace AND number < :number AND until > :now_ms
ORDER BY number DESC
LIMIT :limit

-- bury: keep a dead letter of a task that is about to end
INSERT OR REPLACE INTO dead_letter (
    namespace, id, queue, priority, state, payload, result, failures, deliveries, number, ended, until
)
SELECT namespace, id, queue, priority, ?, payload, ?, failures, earlier + count, ?, ?, ? FROM task WHERE seq = ?

-- forget_dead_letters: drop dead letters that have lapsed
DELETE FROM dead_letter WHERE namespace = ? AND until <= ?

-- trim_dead_letters: drop all dead letters but the latest ones, as many as may be kept
DELETE FROM dead_letter WHERE namespace = :namespace AND number <= (
    SELECT number FROM dead_letter WHERE namespace = :namespace ORDER BY number DESC LIMIT 1 OFFSET :most
)

-- dead_letter: the dead letter of a task
SELECT number, id, state, payload, queue, priority, ended, failures, deliveries, result FROM dead_letter
WHERE namespace = ? AND id = ? AND until > ?

-- drop_dead_letter: remove a dead letter
DELETE FROM dead_letter WHERE namespace = ? AND id = ? AND until > ?

-- forget_failed: drop the failure of a task that is to run again
DELETE FROM task WHERE namespace = ? AND id = ? AND place = 'settled' AND state IN ('failed', 'dead')

-- detach: nodes that wait for a task have got its verdict, and get no other one
UPDATE edge SET source = '' WHERE namespace = ? AND source = ?

-- pause: hand nothing of a queue out
INSERT INTO pause (namespace, queue) VALUES (?, ?) ON CONFLICT DO NOTHING

-- resume: hand out again
DELETE FROM pause WHERE namespace = ? AND queue = ?

-- paused: what is paused
SELECT queue FROM pause WHERE namespace = ?

-- flush_tasks: drop some tasks
DELETE FROM task WHERE seq IN (SELECT seq FROM task WHERE namespace = ? LIMIT ?)

-- flush_facts: drop some facts
DELETE FROM fact WHERE rowid IN (SELECT rowid FROM fact WHERE namespace = ? LIMIT ?)

-- flush_nodes: no node waits for others
DELETE FROM node WHERE namespace = ?

-- flush_edges: and none gets inputs
DELETE FROM edge WHERE namespace = ?

-- flush_dead_letters: drop all dead letters
DELETE FROM dead_letter WHERE namespace = ?

-- flush_revocations: drop all revocations
DELETE FROM revocation WHERE namespace = ?

-- flush_cancellations: drop all requests to stop
DELETE FROM cancellation WHERE namespace = ?

-- examine: a page of tasks of whatever namespace
SELECT seq, namespace, id, place, state, consumer, at FROM task WHERE seq > ? ORDER BY seq LIMIT ?

-- examine_node: the number of inputs that a node lacks, and of tasks that will still bring it one
SELECT missing, (
    SELECT count(*) FROM edge
    JOIN task ON task.namespace = edge.namespace AND task.id = edge.source AND task.place <> 'settled'
    WHERE edge.namespace = node.namespace AND edge.target = node.id
)
FROM node WHERE node.namespace = :namespace AND node.id = :id

-- examine_cancellations: tasks that were asked to stop and have ended
SELECT id FROM cancellation
WHERE namespace = ? AND NOT EXISTS (
    SELECT * FROM task
    WHERE task.namespace = cancellation.namespace AND task.id = cancellation.id AND place <> 'settled'
)
LIMIT 100

-- examine_nodes: nodes that wait no more, and whose inputs are still counted
SELECT id FROM node
WHERE namespace = ? AND NOT EXISTS (
    SELECT * FROM task WHERE task.namespace = node.namespace AND task.id = node.id AND place = 'waiting'
)
LIMIT 100
