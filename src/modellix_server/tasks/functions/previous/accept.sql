-- Of 0.1.0, which has no waiting, no links and tells no request: to be dropped in the release after the next.
create or replace function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    out verdicts text[], out task_ids uuid[]
) language sql as $$
    select a.verdicts, a.task_ids
    from tasks.accept(json_build_object(
        'task_id', p_task, 'team_id', p_team, 'live', p_live, 'key_id', p_key, 'model', p_model, 'params', p_params,
        'price', p_price, 'quote', p_quote, 'deadline_s', p_deadline_s, 'slots', p_slots, 'idempotency_key', p_idempotency,
        'fingerprint', array(select encode(f, 'base64') from unnest(p_fingerprint) f),
        'wait', array_fill(false, array[cardinality(p_task)]))) a
$$;
grant execute on function tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[]
) to modellix_app;
