-- Which of these keys may still sign a request; asked inside the transaction that accepts a task. One
-- plain SELECT without settings of its own, so that the planner folds it into the calling query.
create or replace function identity.active_keys(p_keys bigint[]) returns setof bigint
language sql stable as $$
    select k.id from identity.api_key k
    where k.id = any (p_keys) and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
$$;
grant execute on function identity.active_keys to modellix_app;
