-- A trigger and not a promise of the commands: a change made by hand in SQL must reach the caches too.
create or replace function identity.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;
