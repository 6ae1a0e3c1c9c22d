-- Of 0.1.0, to be dropped in the release after the next: 0.1.0 has no waiting and tells no request.
create or replace function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    out verdicts text[], out task_ids uuid[]
) language sql as $$
    select a.verdicts, a.task_ids
    from tasks.accept(p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_slots,
        p_idempotency, p_fingerprint, array_fill(false, array[cardinality(p_task)]),
        array_fill(null::text, array[cardinality(p_task)])) a
$$;
grant execute on function tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[]
) to modellix_app;
