-- Called inside the transaction that settles the tasks.
create or replace function results.keep(
    p_task uuid[], p_team bigint[], p_live boolean[], p_resources text[], p_bytes bigint[], p_ttl_s int
) returns void language sql as $$
    insert into results.result (task_id, team_id, live, resources, bytes, expires_at)
    select task_id, team_id, live, resources, bytes, now() + make_interval(secs => p_ttl_s)
    from unnest(p_task, p_team, p_live, p_resources, p_bytes) as a (task_id, team_id, live, resources, bytes)
$$;
grant execute on function results.keep to modellix_app;
