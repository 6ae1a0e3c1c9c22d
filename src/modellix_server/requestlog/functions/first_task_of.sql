-- The smallest UUIDv7 of a day in UTC.
create or replace function requestlog.first_task_of(p_day date) returns uuid
language sql immutable set search_path = pg_catalog as $$
    select (lpad(to_hex((extract(epoch from p_day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
grant execute on function requestlog.first_task_of to modellix_app;
