-- The id that the answer to a call carries as X-Request-Id: the caller's own where it sent one.
alter table requestlog.entry add column request_id text;

-- Vendors that do not answer, as the workers found them: a row where something is wrong, or was. While a
-- breaker is open nothing is submitted there but, at each `probe_at`, one task of one worker.
create table tasks.breaker (
    upstream text not null,
    live boolean not null,
    kind text not null check (kind in ('submit', 'poll')),
    opened_at timestamptz,                    -- null: closed
    probe_at timestamptz,                     -- when the next single try is due
    pause_s double precision not null default 0,
    reason text not null,
    changed_at timestamptz not null default now(),
    primary key (upstream, live)
);
grant select, insert, update on tasks.breaker to modellix_app;
