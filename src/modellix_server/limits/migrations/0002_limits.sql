-- What a team may do, where it differs from the defaults.
create schema limits;
grant usage on schema limits to modellix_app;

create table limits.team_limit (
    team_id bigint primary key,
    concurrency int check (concurrency >= 0),  -- unfinished tasks at a time; null = the default
    rpm int check (rpm >= 1),                  -- requests per minute over all keys of the team
    key_rpm int check (key_rpm >= 1)           -- requests per minute of each key
);
grant select, insert, update on limits.team_limit to modellix_app;

-- The limits in force for a team: the one place that knows the defaults (3 tasks, 1,000 and 100
-- requests a minute). Exactly one row; a plain SELECT, so that the planner folds it into the caller's.
create function limits.of_team(p_team bigint) returns table (concurrency int, rpm int, key_rpm int)
language sql stable as $$
    select coalesce(l.concurrency, 3), coalesce(l.rpm, 1000), coalesce(l.key_rpm, 100)
    from (select p_team as team_id) t left join limits.team_limit l using (team_id)
$$;

-- Callers are cached together with their limits, so the notice goes to that cache's channel.
create function limits.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;
create trigger announce after insert or update or delete on limits.team_limit
    for each statement execute function limits.announce();

revoke execute on all functions in schema limits from public;
grant execute on function limits.of_team(bigint) to modellix_app;
