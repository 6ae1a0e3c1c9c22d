-- Files that teams upload to use them as inputs. The bytes lie under their digest, as those that came in bodies do:
-- results.input says until when, and that is never before the last upload of the same bytes has expired.
create table results.upload (
    id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    sha256 bytea not null check (length(sha256) = 32),
    kind text not null check (kind in ('image', 'video', 'audio')),
    format text not null,
    size bigint not null check (size > 0),
    width int,
    height int,
    duration_ms int,
    filename text not null check (length(filename) between 1 and 255),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index upload_of_team on results.upload (team_id, live, id desc);
create index upload_expiry on results.upload (expires_at);
create index upload_digest on results.upload (sha256);

grant select, insert, update, delete on results.upload to modellix_app;

-- Adds a file unless the team would then keep more bytes than it may; those it keeps already, or null when it is in.
create function results.add_upload(
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

-- Forgets a team's file. Its bytes go when no task that was accepted until now can still need them.
create function results.delete_upload(p_id uuid, p_team bigint, p_live boolean, p_needed_s int) returns boolean
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

revoke execute on function results.add_upload, results.delete_upload from public;
grant execute on function results.add_upload, results.delete_upload to modellix_app;
