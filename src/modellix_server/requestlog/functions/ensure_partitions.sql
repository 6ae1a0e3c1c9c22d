-- Partitions from yesterday (clocks of several machines differ) to `p_days` from now. The application
-- may call it but may not change tables: hence SECURITY DEFINER. Returns how many were made.
create or replace function requestlog.ensure_partitions(p_days int) returns int
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
grant execute on function requestlog.ensure_partitions to modellix_app;
