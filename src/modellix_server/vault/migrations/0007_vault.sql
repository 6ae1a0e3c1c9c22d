-- The operator's accounts at the vendors. The key is AES-256-GCM under a key derived from the master
-- key, bound to the upstream and its base URL: a row moved or pointed elsewhere cannot be opened.
create schema vault;
grant usage on schema vault to modellix_app;

create table vault.account (
    upstream text primary key,
    base_url text not null,                   -- the only origin the key is ever sent to
    region text not null,
    key_ciphertext bytea not null,
    key_nonce bytea not null check (length(key_nonce) = 12),
    key_id text not null,                     -- which master key it was encrypted under
    origins text[] not null default '{}',     -- further origins that results may come from
    polls_per_s double precision check (polls_per_s > 0),  -- null: the vendor's usual limit
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
grant select, insert, update on vault.account to modellix_app;

create function vault.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_vault', '');
    return null;
end
$$;
create trigger announce after insert or update or delete on vault.account
    for each statement execute function vault.announce();
revoke execute on all functions in schema vault from public;
