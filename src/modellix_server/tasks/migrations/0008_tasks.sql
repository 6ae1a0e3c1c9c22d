-- Tasks: the row of a task is its queue entry. Accepting, moving and settling happen in the functions
-- below, so that money, slots and state change together or not at all.
create schema tasks;
grant usage on schema tasks to modellix_app;

create table tasks.task (
    id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    key_id bigint not null,
    model text not null,
    params text not null,           -- JSON; bytes a client sent stand in it as sha256:<digest>
    price text not null,            -- the frozen quote, JSON
    quote bigint not null,          -- what is held, micro-dollars
    state text not null default 'queued'
        check (state in ('queued', 'preparing', 'submitting', 'running', 'storing', 'succeeded', 'failed')),
    moves int not null default 0,   -- number of state moves so far; the id of its events
    epoch int not null default 0,   -- raised by every claim: a former owner's writes no longer match
    owner bigint,                   -- the worker that has it
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    deadline_at timestamptz not null,
    attempt int not null default 0,
    ticket text,                    -- the vendor's id of the current attempt
    verdict text,                   -- what the vendor delivered, JSON, while it is being stored
    finished_at timestamptz,
    captured bigint,
    error_code text,
    error_message text,
    check ((finished_at is not null) = (state in ('succeeded', 'failed'))),
    check ((error_code is not null) = (state = 'failed')),
    check ((captured is not null) = (state = 'succeeded')),
    check ((ticket is null) or state not in ('queued', 'preparing', 'submitting')),
    check ((verdict is not null) or state <> 'storing')
) with (fillfactor = 60);           -- room on the page for the row's own next versions
create index task_due on tasks.task (due_at) where owner is null and finished_at is null;
create index task_owned on tasks.task (owner) where owner is not null and finished_at is null;
create index task_listing on tasks.task (team_id, live, id);

-- Unfinished tasks of each team and mode. Changed only in the transaction that accepts or ends a task
-- and only under the lock on the team's balance, so it neither leaks nor grants one too many.
create table tasks.slot (
    team_id bigint not null,
    live boolean not null,
    running int not null default 0 check (running >= 0),
    primary key (team_id, live)
) with (fillfactor = 50);

create table tasks.idempotency (
    team_id bigint not null,
    live boolean not null,
    key text not null,
    fingerprint bytea not null,
    task_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (team_id, live, key)
);
create index idempotency_age on tasks.idempotency (created_at);

-- The story of a task, for people. Accepting is not a row: the task says when it was created.
create table tasks.move (
    task_id uuid not null,
    seq int not null,
    at timestamptz not null default now(),
    state text not null,
    worker bigint,
    note text,
    primary key (task_id, seq)
);

-- One paid submission. The row exists before the POST leaves.
create table tasks.attempt (
    task_id uuid not null,
    n int not null,
    upstream text not null,
    intent_at timestamptz not null default now(),
    answered_at timestamptz,
    outcome text,                   -- accepted, done, refused, busy, not_sent, unknown
    ticket text,
    status int,                     -- HTTP status of the answer
    answer text,                    -- the vendor's words, redacted and cut
    primary key (task_id, n)
);

-- Something a person should look at: money or state that does not fit what we expected.
create table tasks.review (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    task_id uuid,
    reason text not null,
    detail text not null
);

-- A worker is alive while it holds the advisory lock of its id and its lease has not run out.
create table tasks.worker (
    id bigint generated always as identity primary key,
    name text not null,
    started_at timestamptz not null default now(),
    lease_until timestamptz not null
);

grant select, insert, update, delete on tasks.task, tasks.slot, tasks.idempotency, tasks.worker to modellix_app;
grant select, insert, update on tasks.attempt to modellix_app;
grant select, insert on tasks.move, tasks.review to modellix_app;
