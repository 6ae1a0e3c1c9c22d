-- Gives a key another text. The former one works for `p_overlap` more; what overlapped from earlier rotations, no longer.
create or replace function identity.rotate(
    p_key bigint, p_hash bytea, p_prefix text, p_last4 text, p_overlap interval
) returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    delete from identity.rotated_key where key_id = p_key and ends_at <= now();
    update identity.rotated_key set ends_at = least(ends_at, now() + p_overlap) where key_id = p_key;
    insert into identity.rotated_key (hash, key_id, ends_at)
    select hash, id, now() + p_overlap from identity.api_key where id = p_key;
    update identity.api_key set hash = p_hash, prefix = p_prefix, last4 = p_last4 where id = p_key;
end
$$;
grant execute on function identity.rotate to modellix_app;
