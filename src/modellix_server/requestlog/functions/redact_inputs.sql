-- Takes bodies and answers out of a team's calls before a time: only refused ones have them. The application may not
-- change the log: hence SECURITY DEFINER. Returns how many had one.
create or replace function requestlog.redact_inputs(p_team bigint, p_before timestamptz) returns int
language plpgsql security definer set search_path = pg_catalog as $$
declare
    redacted int;
begin
    update requestlog.entry set input = null, answer = null
    where team_id = p_team and live in (true, false) and status >= 400 and at < p_before
        and (input is not null or answer is not null);
    get diagnostics redacted = row_count;
    return redacted;
end
$$;
grant execute on function requestlog.redact_inputs to modellix_app;
