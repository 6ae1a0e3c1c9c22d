-- What is in the storage and when it goes: files of finished tasks, and media that came in bodies.
create schema results;
grant usage on schema results to modellix_app;

create table results.result (
    task_id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    resources text not null,                  -- JSON, as the task's story was told when it was stored
    bytes bigint not null check (bytes >= 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    deleting_until timestamptz                -- a process is deleting the files and has until then
);
create index result_expiry on results.result (expires_at);

create table results.input (
    sha256 bytea primary key check (length(sha256) = 32),
    mime text not null,
    kind text not null check (kind in ('image', 'video', 'audio')),
    size bigint not null check (size > 0),
    expires_at timestamptz not null,
    deleting_until timestamptz
);
create index input_expiry on results.input (expires_at);

grant select, insert, update, delete on results.result, results.input to modellix_app;

-- Called inside the transaction that settles the tasks.
create function results.keep(
    p_task uuid[], p_team bigint[], p_live boolean[], p_resources text[], p_bytes bigint[], p_ttl_s int
) returns void language sql as $$
    insert into results.result (task_id, team_id, live, resources, bytes, expires_at)
    select task_id, team_id, live, resources, bytes, now() + make_interval(secs => p_ttl_s)
    from unnest(p_task, p_team, p_live, p_resources, p_bytes) as a (task_id, team_id, live, resources, bytes)
$$;

-- Results that have not expired, for a batch of status reads.
create function results.of_tasks(p_task uuid[]) returns table (task_id uuid, resources text, expires_at timestamptz)
language sql stable as $$
    select r.task_id, r.resources, r.expires_at from results.result r
    where r.task_id = any (p_task) and r.expires_at > now()
$$;

revoke execute on all functions in schema results from public;
grant execute on all functions in schema results to modellix_app;
