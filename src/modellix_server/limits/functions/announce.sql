-- Callers are cached together with their limits, so the notice goes to that cache's channel.
create or replace function limits.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;
