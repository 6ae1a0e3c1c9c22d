-- One row per API call, by day. No key: rows are only ever appended, read by team and time, and
-- dropped a day at a time.
create schema requestlog;
grant usage on schema requestlog to modellix_app;

create table requestlog.entry (
    at timestamptz not null,
    team_id bigint,                           -- null: refused before it was known who calls
    live boolean,
    key_id bigint,
    method text not null,
    path text not null,                       -- without query
    status smallint not null,
    code text,                                -- the platform's error code
    latency_us int not null,
    bytes_in int not null,
    bytes_out int not null,
    model text,
    task_id uuid,
    cost_micros bigint,
    input text,                               -- redacted and cut
    answer text,                              -- redacted and cut
    client text                               -- the caller's address, where it is kept
) partition by range (at);
create index entry_of_team on requestlog.entry (team_id, live, at);
-- Rows come in the order of time, so a few pages of summary find any hour of all teams.
create index entry_by_time on requestlog.entry using brin (at);

-- Rows that never reached the log.
create table requestlog.loss (
    at timestamptz not null default now(),
    rows bigint not null check (rows > 0),
    reason text not null
);

grant select, insert on requestlog.entry, requestlog.loss to modellix_app;

-- Partitions from yesterday (clocks of several machines differ) to `p_days` from now. The application
-- may call it but may not change tables: hence SECURITY DEFINER. Returns how many were made.
create function requestlog.ensure_partitions(p_days int) returns int
language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    made int := 0;
    today date := current_date;
    day date;
begin
    for day in select today + n from generate_series(-1, least(p_days, 60)) n loop
        if to_regclass('requestlog.' || to_char(day, '"entry_"YYYYMMDD')) is null then
            perform pg_advisory_xact_lock(hashtext('requestlog.entry'));
            execute format('create table if not exists requestlog.%I partition of requestlog.entry for values from (%L) to (%L)',
                to_char(day, '"entry_"YYYYMMDD'), day, day + 1);
            made := made + 1;
        end if;
    end loop;
    return made;
end
$$;

-- Drops the days that ended more than `p_days` ago. Returns how many.
create function requestlog.drop_old(p_days int) returns int
language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    dropped int := 0;
    old text;
begin
    if p_days < 1 then
        raise exception 'the log is kept for a day at least' using errcode = 'invalid_parameter_value';
    end if;
    perform pg_advisory_xact_lock(hashtext('requestlog.entry'));
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'requestlog.entry'::regclass
            and c.relname ~ '^entry_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - p_days
    loop
        execute format('drop table requestlog.%I', old);
        dropped := dropped + 1;
    end loop;
    delete from requestlog.loss where at < now() - make_interval(days => p_days);
    return dropped;
end
$$;

revoke execute on all functions in schema requestlog from public;
grant execute on all functions in schema requestlog to modellix_app;
