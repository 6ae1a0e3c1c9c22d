-- The keys of these hashes: of their texts, and of former texts whose overlap has not ended. Whether a key itself is good
-- is for the caller to ask. A plain SELECT, so that the planner folds it into the calling query.
create or replace function identity.texts_of_keys(p_hashes bytea[])
returns table (hash bytea, key_id bigint, ends_at timestamptz) language sql stable as $$
    select k.hash, k.id, null::timestamptz from identity.api_key k where k.hash = any (p_hashes)
    union all
    select r.hash, r.key_id, r.ends_at from identity.rotated_key r where r.hash = any (p_hashes) and r.ends_at > now()
$$;
grant execute on function identity.texts_of_keys to modellix_app;
