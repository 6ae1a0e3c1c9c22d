-- Adds a file unless the team would then keep more bytes than it may; those it keeps already, or null when it is in.
create or replace function results.add_upload(
    p_id uuid, p_team bigint, p_live boolean, p_sha256 bytea, p_kind text, p_format text, p_size bigint,
    p_width int, p_height int, p_duration_ms int, p_filename text, p_ttl_s int, p_quota bigint
) returns bigint language plpgsql as $$
declare
    kept bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('results.upload', p_team));  -- one after another, or two fit at once
    select coalesce(sum(u.size), 0) into kept from results.upload u
    where u.team_id = p_team and u.live = p_live and u.expires_at > now();
    if kept + p_size > p_quota then
        return kept;
    end if;
    perform pg_advisory_xact_lock(hashtextextended(encode(p_sha256, 'hex'), 0));
    insert into results.upload (
        id, team_id, live, sha256, kind, format, size, width, height, duration_ms, filename, expires_at
    ) values (
        p_id, p_team, p_live, p_sha256, p_kind, p_format, p_size, p_width, p_height, p_duration_ms, p_filename,
        now() + make_interval(secs => p_ttl_s)
    );
    update results.input set expires_at = greatest(expires_at, now() + make_interval(secs => p_ttl_s))
    where sha256 = p_sha256;
    return null;
end
$$;
grant execute on function results.add_upload to modellix_app;
