-- Teams and their API keys. A key's text is never stored: only HMAC-SHA-256 under the server's pepper.
create schema identity;
grant usage on schema identity to modellix_app;

create table identity.team (
    id bigint generated always as identity primary key,
    name text not null unique check (name = btrim(name) and length(name) between 1 and 64 and name !~ '[[:cntrl:]]'),
    created_at timestamptz not null default now()
);

create table identity.api_key (
    id bigint generated always as identity primary key,
    team_id bigint not null references identity.team,
    live boolean not null,
    name text not null check (length(name) between 1 and 64 and name !~ '[[:cntrl:]]'),
    hash bytea not null unique check (length(hash) = 32),
    prefix text not null,                     -- with last4: what people recognise a key by
    last4 text not null,
    created_at timestamptz not null default now(),
    created_by text not null,
    revoked_at timestamptz
);
create index api_key_of_team on identity.api_key (team_id, id);

grant select, insert on identity.team, identity.api_key to modellix_app;
grant update (revoked_at) on identity.api_key to modellix_app;

-- Which of these keys may still sign a request; asked inside the transaction that accepts a task. One
-- plain SELECT without settings of its own, so that the planner folds it into the calling query.
create function identity.active_keys(p_keys bigint[]) returns setof bigint
language sql stable as $$
    select k.id from identity.api_key k where k.id = any (p_keys) and k.revoked_at is null
$$;

-- A trigger and not a promise of the commands: a change made by hand in SQL must reach the caches too.
create function identity.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;
create trigger announce after insert or update or delete on identity.api_key
    for each statement execute function identity.announce();

revoke execute on all functions in schema identity from public;
grant execute on function identity.active_keys(bigint[]) to modellix_app;
