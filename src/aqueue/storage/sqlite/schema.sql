-- The tables of one file, which any number of namespaces share. Instants are milliseconds since the epoch (UTC).
-- Several processes may find the file empty at the same moment, so all of this can be run again.

-- One row: the note that every version of aqueue reads first.
CREATE TABLE IF NOT EXISTS layout (
    layout         INTEGER NOT NULL,            -- the number of the layout that these tables have
    oldest_reader  INTEGER NOT NULL,            -- the lowest layout that a process may know and still use them
    written_by     TEXT    NOT NULL             -- the version of aqueue that made them
) STRICT;

CREATE TABLE IF NOT EXISTS namespace (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    reclaimed_at  INTEGER NOT NULL DEFAULT 0,   -- when a worker last reclaimed
    reclaim_due   INTEGER NOT NULL DEFAULT 0    -- by when a worker should have reclaimed again
) STRICT;

-- One row. Its number only grows, so whatever is numbered by it is unique for ever and in the order of the commits.
CREATE TABLE IF NOT EXISTS sequence (
    last  INTEGER NOT NULL
) STRICT;
INSERT INTO sequence (last) SELECT 0 WHERE NOT EXISTS (SELECT * FROM sequence);

-- Every task from its push until its result has expired.
CREATE TABLE IF NOT EXISTS task (
    seq        INTEGER PRIMARY KEY,             -- its number in line; a new one each time that it gets in line
    namespace  INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    queue      TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    place      TEXT    NOT NULL,                -- ready, scheduled, leased, settled or, for others, waiting
    state      TEXT    NOT NULL,                -- what its record says: one of aqueue.core.lifecycle.State
    at         INTEGER NOT NULL,                -- ready since, scheduled for, leased until, settled and kept until, or 0
    failures   INTEGER NOT NULL DEFAULT 0,      -- runs that failed and were retried
    earlier    INTEGER NOT NULL DEFAULT 0,      -- deliveries under its earlier numbers
    count      INTEGER NOT NULL DEFAULT 0,      -- deliveries under this number; earlier + count is the fence
    consumer   TEXT    NOT NULL DEFAULT '',     -- the consumer that it is leased to
    lease      INTEGER NOT NULL DEFAULT 0,      -- how long the lease lasts unless it is renewed
    client     TEXT    NOT NULL DEFAULT '',     -- the client that is told about its progress and verdict
    told       INTEGER NOT NULL DEFAULT 0,      -- the number of the last thing to tell
    payload    BLOB    NOT NULL,                -- the message; empty once it is settled
    result     BLOB    NOT NULL DEFAULT x'',
    progress   BLOB    NOT NULL DEFAULT x'',
    UNIQUE (namespace, id)
) STRICT;

-- Each task is in one of these, and a step of one kind never meets the tasks in the others.
CREATE INDEX IF NOT EXISTS task_ready ON task (namespace, queue, priority DESC, seq, at) WHERE place = 'ready';
CREATE INDEX IF NOT EXISTS task_scheduled ON task (namespace, at, queue) WHERE place = 'scheduled';
CREATE INDEX IF NOT EXISTS task_leased ON task (namespace, at, queue) WHERE place = 'leased';
CREATE INDEX IF NOT EXISTS task_waiting ON task (namespace, seq) WHERE place = 'waiting';
CREATE INDEX IF NOT EXISTS task_settled ON task (namespace, at) WHERE place = 'settled';
CREATE INDEX IF NOT EXISTS task_told ON task (namespace, client, told) WHERE client <> '';

-- What each `waiting` task waits for.
CREATE TABLE IF NOT EXISTS node (
    namespace  INTEGER NOT NULL,
    id         TEXT    NOT NULL,                -- of the task
    condition  TEXT    NOT NULL,                -- its trigger: one of aqueue.core.message.Trigger
    missing    INTEGER NOT NULL,                -- inputs that are not there yet
    size       INTEGER NOT NULL DEFAULT 0,      -- bytes of those that are
    delay      INTEGER NOT NULL,                -- how long after the last of them it is due
    eta        INTEGER NOT NULL,                -- or when; 0 for the delay
    client     TEXT    NOT NULL,                -- the client that is told when it is cancelled
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;

-- What a waiting task gets from each task before it.
CREATE TABLE IF NOT EXISTS edge (
    namespace  INTEGER NOT NULL,
    source     TEXT    NOT NULL,                -- the id of the task before
    target     TEXT    NOT NULL,                -- the id of the task that waits
    position   INTEGER NOT NULL,                -- where among its inputs this one stands
    input      BLOB    NOT NULL DEFAULT x'',
    UNIQUE (namespace, target, position)
) STRICT;
CREATE INDEX IF NOT EXISTS edge_source ON edge (namespace, source, target);

-- Clients that are told about a task beside the one that enqueued it.
CREATE TABLE IF NOT EXISTS watch (
    namespace  INTEGER NOT NULL,
    id         TEXT    NOT NULL,                -- of the task
    client     TEXT    NOT NULL,
    told       INTEGER NOT NULL DEFAULT 0,      -- the number of the last thing to tell; 0 until there is any
    PRIMARY KEY (namespace, id, client)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS watch_told ON watch (namespace, client, told) WHERE told > 0;
CREATE TRIGGER IF NOT EXISTS task_forgotten AFTER DELETE ON task BEGIN
    DELETE FROM watch WHERE namespace = OLD.namespace AND id = OLD.id;
END;

-- Schedules of periodic tasks.
CREATE TABLE IF NOT EXISTS schedule (
    namespace  INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    state      BLOB    NOT NULL,                -- empty for the one that was forgotten last
    changed    INTEGER NOT NULL,                -- the number under which its last change is told
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS schedule_told ON schedule (namespace, changed);

-- What must not start: revocations.
CREATE TABLE IF NOT EXISTS revocation (
    namespace  INTEGER NOT NULL,
    key        TEXT    NOT NULL,                -- a task id, or the name of a group of tasks
    once       INTEGER NOT NULL,                -- 1 when it holds for one task only
    ends       INTEGER NOT NULL,                -- when it holds no more; 0 for never
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

-- Leased tasks that were asked to stop.
CREATE TABLE IF NOT EXISTS cancellation (
    namespace  INTEGER NOT NULL,
    id         TEXT    NOT NULL,                -- of the task
    asked      INTEGER NOT NULL,                -- the number under which that is told
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cancellation_told ON cancellation (namespace, asked);

-- Dead letters: what is kept of tasks that failed or died, so that they can be run again.
CREATE TABLE IF NOT EXISTS dead_letter (
    namespace   INTEGER NOT NULL,
    id          TEXT    NOT NULL,               -- of the task
    queue       TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    state       TEXT    NOT NULL,               -- its verdict
    payload     BLOB    NOT NULL,               -- the message
    result      BLOB    NOT NULL,               -- the description of its failure
    failures    INTEGER NOT NULL,
    deliveries  INTEGER NOT NULL,               -- all that there were of it
    number      INTEGER NOT NULL,               -- the higher, the later it died
    ended       INTEGER NOT NULL,               -- when it died
    until       INTEGER NOT NULL,               -- when this is forgotten
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letter_by_number ON dead_letter (namespace, number);
CREATE INDEX IF NOT EXISTS dead_letter_by_until ON dead_letter (namespace, until);

-- Queues of which nothing is handed out; '*' stands for all of them.
CREATE TABLE IF NOT EXISTS pause (
    namespace  INTEGER NOT NULL,
    queue      TEXT    NOT NULL,
    PRIMARY KEY (namespace, queue)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS worker (
    namespace    INTEGER NOT NULL,
    consumer     TEXT    NOT NULL,
    description  BLOB    NOT NULL,              -- how it describes itself
    seen         INTEGER NOT NULL,              -- its last sign of life
    PRIMARY KEY (namespace, consumer)
) STRICT, WITHOUT ROWID;

-- What is shared beside the tasks: small facts of four kinds, each of which lapses at an instant.
CREATE TABLE IF NOT EXISTS fact (
    namespace  INTEGER NOT NULL,
    kind       TEXT    NOT NULL,                -- value, answer, permit, waiting or "rate <ms>"
    name       TEXT    NOT NULL,                -- of the value, the permit or the rate; the token of an answer
    token      TEXT    NOT NULL DEFAULT '',     -- the holder of the permit, the call that was admitted
    until      INTEGER NOT NULL,                -- when it lapses
    number     INTEGER NOT NULL DEFAULT 0,      -- the fence of a permit; of "waiting", the last release to tell
    value      BLOB,                            -- the value, or the answer
    UNIQUE (namespace, kind, name, token)
) STRICT;
CREATE INDEX IF NOT EXISTS fact_by_name ON fact (namespace, kind, name, until);
CREATE INDEX IF NOT EXISTS fact_by_until ON fact (namespace, until);
CREATE INDEX IF NOT EXISTS fact_told ON fact (namespace, number) WHERE kind = 'waiting';
