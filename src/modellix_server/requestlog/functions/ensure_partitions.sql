-- Partitions from yesterday (clocks of several machines differ) to `p_days` from now. The application
-- may call it but may not change tables: hence SECURITY DEFINER. Returns how many were made.
create or replace function requestlog.ensure_partitions(p_days int) returns int
language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    made int := 0;
    today date := current_date;
    part record;
begin
    for part in
        select 'requestlog.' || t.name as parent, to_char(day, format('"%s_"YYYYMMDD', t.name)) as name,
            case t.name when 'entry' then day::text else requestlog.first_task_of(day)::text end as first,
            case t.name when 'entry' then (day + 1)::text else requestlog.first_task_of(day + 1)::text end as after
        from (select today + n as day from generate_series(-1, least(p_days, 60)) n) days,
            (values ('entry'), ('submission')) t (name)
    loop
        if to_regclass('requestlog.' || part.name) is null then
            perform pg_advisory_xact_lock(hashtext('requestlog.entry'));
            execute format('create table if not exists requestlog.%I partition of %s for values from (%L) to (%L)',
                part.name, part.parent, part.first, part.after);
            made := made + 1;
        end if;
    end loop;
    return made;
end
$$;
grant execute on function requestlog.ensure_partitions to modellix_app;
