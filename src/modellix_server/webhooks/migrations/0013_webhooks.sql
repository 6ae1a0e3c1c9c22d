-- Webhooks: where teams want to be told of the end of their tasks, and what was sent there. A message is
-- written in the transaction that ends its task (an outbox), so that none is lost and none is invented.
create schema webhooks;
grant usage on schema webhooks to modellix_app;

create table webhooks.endpoint (
    id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    url text not null,
    lane text not null,               -- team, mode and origin: messages of one lane wait for each other, no others
    created_at timestamptz not null default now(),
    failing_since timestamptz,        -- of the first failure after the last success
    disabled_at timestamptz,
    disabled_why text,
    check ((disabled_at is null) = (disabled_why is null))
);
create index endpoint_of_team on webhooks.endpoint (team_id, live);

-- Signing secrets, sealed. While a replaced one still signs, a receiver may know either.
create table webhooks.secret (
    id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    endpoint_id uuid references webhooks.endpoint on delete cascade,  -- null: the team's, for links given with a task
    sealed bytea not null,
    created_at timestamptz not null default now(),
    signs_until timestamptz           -- null: the current one
);
create unique index secret_of_endpoint on webhooks.secret (endpoint_id) where signs_until is null;
create unique index secret_of_team on webhooks.secret (team_id, live) where endpoint_id is null and signs_until is null;
create index secret_old on webhooks.secret (endpoint_id, team_id);

-- A link given with one task. Written before the task is accepted, taken away when it ends.
create table webhooks.subscription (
    task_id uuid primary key,
    url text not null,
    lane text not null,
    created_at timestamptz not null default now()
);
create index subscription_age on webhooks.subscription (created_at);

create table webhooks.message (
    id uuid primary key default gen_random_uuid(),
    task_id uuid not null,
    team_id bigint not null,
    live boolean not null,
    endpoint_id uuid references webhooks.endpoint on delete cascade,
    url text,                         -- where no endpoint says it
    lane text not null,
    event text not null,
    payload text,                     -- the exact body, once it was sent in vain
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
    due_at timestamptz not null default now(),
    lease int not null default 0,     -- raised by every lease: a former holder's report no longer matches
    tries int not null default 0,     -- since it was last put up for delivery; decides when to try again
    attempts int not null default 0,  -- in all
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    check ((endpoint_id is null) = (url is not null)),
    check ((ended_at is null) = (state = 'waiting'))
) with (fillfactor = 80);
create index message_due on webhooks.message (lane, due_at) where state = 'waiting';
create index message_listing on webhooks.message (team_id, live, created_at desc);
create index message_of_endpoint on webhooks.message (endpoint_id, created_at desc) where endpoint_id is not null;
create index message_age on webhooks.message (ended_at) where ended_at is not null;

create table webhooks.attempt (
    message_id uuid not null references webhooks.message on delete cascade,
    n int not null,
    at timestamptz not null default now(),
    status int,                       -- HTTP status of the answer, if there was one
    error text,
    took_ms int not null,
    primary key (message_id, n)
);

grant select, insert, update, delete on all tables in schema webhooks to modellix_app;

-- Puts up a message for each endpoint of the team, and one for the link given with the task. Called inside
-- the transaction that ends the tasks.
create function webhooks.enqueue(p_task uuid[], p_team bigint[], p_live boolean[], p_event text[]) returns void
language plpgsql as $$
begin
    with ended as (
        select * from unnest(p_task, p_team, p_live, p_event) as a (task_id, team_id, live, event)
    ), asked as (
        delete from webhooks.subscription s using ended e where s.task_id = e.task_id
        returning e.task_id, e.team_id, e.live, e.event, s.url, s.lane
    )
    insert into webhooks.message (task_id, team_id, live, endpoint_id, url, lane, event)
    select e.task_id, e.team_id, e.live, p.id, null, p.lane, e.event
    from ended e join webhooks.endpoint p on p.team_id = e.team_id and p.live = e.live and p.disabled_at is null
    union all
    select task_id, team_id, live, null, url, lane, event from asked;
    if found then
        perform pg_notify('modellix_webhooks', '');
    end if;
end
$$;

-- Leases up to p_limit messages that are due, from every lane as many as it has room for, so that a lane
-- with a long queue is passed by. A lease ends by itself: a message nobody reports on is due again.
create function webhooks.lease(
    p_lane text[], p_room int[], p_usual_room int, p_full_team bigint[], p_limit int, p_lease_s double precision
) returns setof webhooks.message language sql as $$
    with recursive lanes as (
        (select lane from webhooks.message where state = 'waiting' order by lane limit 1)
        union all
        select (select m.lane from webhooks.message m where m.state = 'waiting' and m.lane > l.lane order by m.lane limit 1)
        from lanes l where l.lane is not null
    ), candidate as materialized (
        select d.id from lanes l
        left join unnest(p_lane, p_room) as known (lane, room) on known.lane = l.lane
        cross join lateral (
            select m.id, m.due_at from webhooks.message m
            where m.state = 'waiting' and m.lane = l.lane and m.due_at <= now()
            order by m.due_at limit coalesce(known.room, p_usual_room)) d
        where l.lane is not null and split_part(l.lane, ':', 1)::bigint <> all (p_full_team)
        order by d.due_at limit p_limit
    )
    update webhooks.message m set lease = m.lease + 1, due_at = now() + make_interval(secs => p_lease_s)
    where m.id in (
        select w.id from webhooks.message w
        where w.id in (select id from candidate) and w.state = 'waiting' and w.due_at <= now()
        for update skip locked)
    returning m.*
$$;

-- Reports on attempts, each only while its lease is the last. p_again_in_s null: no more tries. p_disable,
-- where not null, says why the endpoint gets nothing any more; what waits for it has failed then. Returns
-- the endpoints that this call has disabled.
create function webhooks.report(
    p_message uuid[], p_lease int[], p_delivered boolean[], p_again_in_s double precision[], p_status int[],
    p_error text[], p_took_ms int[], p_payload text[], p_disable text[]
) returns setof webhooks.endpoint language sql as $$
    with said as (
        select * from unnest(p_message, p_lease, p_delivered, p_again_in_s, p_status, p_error, p_took_ms, p_payload, p_disable)
            as a (message_id, lease, delivered, again_in_s, status, error, took_ms, payload, disable)
    ), changed as (
        update webhooks.message m set
            tries = m.tries + 1,
            attempts = m.attempts + 1,
            state = case when s.delivered then 'delivered' when s.again_in_s is null then 'failed' else 'waiting' end,
            ended_at = case when s.delivered or s.again_in_s is null then now() end,
            due_at = now() + make_interval(secs => coalesce(s.again_in_s, 0)),
            payload = case when not s.delivered then coalesce(m.payload, s.payload) end
        from said s where m.id = s.message_id and m.lease = s.lease and m.state = 'waiting'
        returning m.id, m.attempts, m.endpoint_id, s.*
    ), logged as (
        insert into webhooks.attempt (message_id, n, status, error, took_ms)
        select id, attempts, status, error, took_ms from changed
    ), health as (
        select endpoint_id, bool_or(delivered) as delivers, max(disable) as why
        from changed where endpoint_id is not null group by endpoint_id
    ), judged as (
        update webhooks.endpoint p set
            failing_since = case when not h.delivers then coalesce(p.failing_since, now()) end,
            disabled_at = case when h.delivers then p.disabled_at else coalesce(p.disabled_at, case when h.why is not null then now() end) end,
            disabled_why = case when h.delivers then p.disabled_why else coalesce(p.disabled_why, h.why) end
        from health h
        where p.id = h.endpoint_id and (not h.delivers or p.failing_since is not null)
        returning p.*, h.why is not null and not h.delivers and p.disabled_at = now() as fell
    ), given_up as (
        update webhooks.message m set state = 'failed', ended_at = now()
        from judged j where j.fell and m.endpoint_id = j.id and m.state = 'waiting'
            and not exists (select from changed c where c.id = m.id)
    )
    select id, team_id, live, url, lane, created_at, failing_since, disabled_at, disabled_why from judged where fell
$$;

revoke execute on all functions in schema webhooks from public;
grant execute on all functions in schema webhooks to modellix_app;
