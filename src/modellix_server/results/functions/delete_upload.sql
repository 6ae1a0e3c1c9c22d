-- Forgets a team's file. Its bytes go when no task that was accepted until now can still need them.
create or replace function results.delete_upload(p_id uuid, p_team bigint, p_live boolean, p_needed_s int) returns boolean
language plpgsql as $$
declare
    digest bytea;
begin
    delete from results.upload
    where id = p_id and team_id = p_team and live = p_live and expires_at > now()
    returning sha256 into digest;
    if digest is null then
        return false;
    end if;
    -- Whoever adds the same bytes does so before this or sees what this leaves.
    perform pg_advisory_xact_lock(hashtextextended(encode(digest, 'hex'), 0));
    update results.input set expires_at = least(expires_at, now() + make_interval(secs => p_needed_s))
    where sha256 = digest
        and not exists (select from results.upload u where u.sha256 = digest and u.expires_at > now());
    return true;
end
$$;
grant execute on function results.delete_upload to modellix_app;
