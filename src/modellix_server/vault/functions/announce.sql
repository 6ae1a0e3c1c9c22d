-- Tells processes to read the vendor accounts again.
create or replace function vault.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_vault', '');
    return null;
end
$$;
