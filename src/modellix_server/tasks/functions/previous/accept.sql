-- Of 0.1.0, which has no waiting, no links and tells no request: to be dropped in the release after the next.
create or replace function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    out verdicts text[], out task_ids uuid[]
) language sql as $$
    select a.verdicts, a.task_ids
    from tasks.accept((
        select json_agg(json_build_object(
            'task_id', task_id, 'team_id', team_id, 'live', live, 'key_id', key_id, 'model', model, 'params', params,
            'price', price, 'quote', quote, 'deadline_s', deadline_s, 'slots', slots, 'idempotency_key', idempotency_key,
            'fingerprint', encode(fingerprint, 'base64'), 'wait', false) order by ord)
        from unnest(p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_slots,
            p_idempotency, p_fingerprint) with ordinality
            as s (task_id, team_id, live, key_id, model, params, price, quote, deadline_s, slots, idempotency_key,
                fingerprint, ord)
    )) a
$$;
grant execute on function tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[]
) to modellix_app;
