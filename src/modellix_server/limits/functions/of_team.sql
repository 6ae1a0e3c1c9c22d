-- The limits in force for a team: the one place that knows the defaults (3 tasks, 1,000 and 100
-- requests a minute). Exactly one row; a plain SELECT, so that the planner folds it into the caller's.
create or replace function limits.of_team(p_team bigint) returns table (concurrency int, rpm int, key_rpm int)
language sql stable as $$
    select coalesce(l.concurrency, 3), coalesce(l.rpm, 1000), coalesce(l.key_rpm, 100)
    from (select p_team as team_id) t left join limits.team_limit l using (team_id)
$$;
grant execute on function limits.of_team to modellix_app;
