-- Adds an entry; to be called last in the transaction of the change it tells about.
create or replace function audit.record(
    p_actor text, p_origin text, p_action text, p_subject text, p_team bigint, p_details json) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    last audit.head;
    moment timestamptz;
    made bytea;
begin
    select * into strict last from audit.head for update;
    moment := clock_timestamp();
    made := audit.chained(last.hash, array[
        (last.seq + 1)::text, (extract(epoch from moment) * 1000000)::bigint::text,
        p_actor, p_origin, p_action, p_subject, coalesce(p_team::text, '-'), p_details::text]);
    insert into audit.audit_entry (seq, at, actor, origin, action, subject, team_id, details, previous, hash)
    values (last.seq + 1, moment, p_actor, p_origin, p_action, p_subject, p_team, p_details, last.hash, made);
    update audit.head set seq = last.seq + 1, hash = made;
    return last.seq + 1;
end
$$;
grant execute on function audit.record to modellix_app;
