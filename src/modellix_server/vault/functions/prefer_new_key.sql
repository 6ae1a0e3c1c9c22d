-- A program of version 0.1.0 may still store a key during an upgrade. It does not know `sealed`, so what
-- stands there is the former key: it goes.
create or replace function vault.prefer_new_key() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if new.key_ciphertext is not null and new.key_ciphertext is distinct from old.key_ciphertext then
        new.sealed := null;
    end if;
    return new;
end
$$;
