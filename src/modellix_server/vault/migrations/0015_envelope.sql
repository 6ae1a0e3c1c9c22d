-- Keys under envelope encryption (base.envelope): one value that names its master key and rotates.
alter table vault.account add column sealed bytea;
alter table vault.account alter column key_ciphertext drop not null;
alter table vault.account alter column key_nonce drop not null;
alter table vault.account alter column key_id drop not null;
-- The three columns of version 0.1.0 hold a key until a rotation, or a new key, moves it to `sealed`.
alter table vault.account add constraint account_in_one_form check (
    case when sealed is null then num_nulls(key_ciphertext, key_nonce, key_id) = 0
         else num_nonnulls(key_ciphertext, key_nonce, key_id) = 0 end);

-- A program of version 0.1.0 may still store a key during an upgrade. It does not know `sealed`, so what
-- stands there is the former key: it goes.
create function vault.prefer_new_key() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if new.key_ciphertext is not null and new.key_ciphertext is distinct from old.key_ciphertext then
        new.sealed := null;
    end if;
    return new;
end
$$;
create trigger prefer_new_key before update on vault.account
    for each row execute function vault.prefer_new_key();
revoke execute on function vault.prefer_new_key() from public;

-- A value that every process opens when it starts, so that a wrong master key is noticed although nothing
-- else has been sealed yet.
create table vault.canary (
    only_one boolean primary key default true check (only_one),
    sealed bytea not null
);
grant select, insert, update on vault.canary to modellix_app;
