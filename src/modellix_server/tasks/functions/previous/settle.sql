-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.settle(
    p_task uuid[], p_epoch int[], p_from text[], p_team bigint[], p_live boolean[], p_worker bigint,
    p_capture bigint[], p_resources text[], p_bytes bigint[], p_ttl_s int, p_error_code text[], p_error_message text[],
    p_outcome text[], p_status int[], p_answer text[], p_review text[]
) returns int[] language sql as $$
    select tasks.settle(p_worker, p_task, p_epoch, p_from, p_team, p_live, (
        select json_agg(json_build_object('capture', capture, 'resources', resources, 'bytes', bytes,
            'error_code', error_code, 'error_message', error_message, 'review', review,
            'record', json_build_object('outcome', outcome, 'status', status, 'answer', answer)) order by ord)
        from unnest(p_capture, p_resources, p_bytes, p_error_code, p_error_message, p_outcome, p_status, p_answer, p_review)
            with ordinality
            as e (capture, resources, bytes, error_code, error_message, outcome, status, answer, review, ord)
    ), p_ttl_s)
$$;
grant execute on function tasks.settle(
    uuid[], int[], text[], bigint[], boolean[], bigint, bigint[], text[], bigint[], int, text[], text[], text[], int[],
    text[], text[]
) to modellix_app;
