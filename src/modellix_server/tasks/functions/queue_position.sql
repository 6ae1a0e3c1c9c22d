-- How many wait up to a number, itself included: 1 is the next to start.
create or replace function tasks.queue_position(p_team bigint, p_live boolean, p_queue_no bigint) returns int
language sql stable as $$
    select count(*)::int from tasks.task where team_id = p_team and live = p_live and queue_no <= p_queue_no
$$;
grant execute on function tasks.queue_position to modellix_app;
