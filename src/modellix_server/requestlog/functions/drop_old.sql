-- Drops the days that ended more than `p_days` ago. Returns how many.
create or replace function requestlog.drop_old(p_days int) returns int
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
        where i.inhparent in ('requestlog.entry'::regclass, 'requestlog.submission'::regclass)
            and c.relname ~ '^(entry|submission)_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - p_days
    loop
        execute format('drop table requestlog.%I', old);
        dropped := dropped + 1;
    end loop;
    delete from requestlog.loss where at < now() - make_interval(days => p_days);
    return dropped;
end
$$;
grant execute on function requestlog.drop_old to modellix_app;
