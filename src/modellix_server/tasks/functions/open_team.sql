-- Creates the slot counters of a new team. Idempotent.
create or replace function tasks.open_team(p_team bigint) returns void language sql as $$
    insert into tasks.slot (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;
grant execute on function tasks.open_team to modellix_app;
