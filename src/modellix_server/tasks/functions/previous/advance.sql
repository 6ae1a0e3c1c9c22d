-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.advance(
    p_task uuid[], p_epoch int[], p_from text[], p_to text[], p_worker bigint, p_due_in_s double precision[],
    p_upstream text[], p_ticket text[], p_verdict text[], p_outcome text[], p_status int[], p_answer text[], p_note text[]
) returns int[] language sql as $$
    select tasks.advance(p_worker, p_task, p_epoch, p_from, (
        select json_agg(json_build_object('becomes', becomes, 'due_in_s', due_in_s, 'upstream', upstream,
            'ticket', ticket, 'verdict', verdict, 'note', note,
            'record', json_build_object('outcome', outcome, 'status', status, 'answer', answer)) order by ord)
        from unnest(p_to, p_due_in_s, p_upstream, p_ticket, p_verdict, p_outcome, p_status, p_answer, p_note)
            with ordinality as m (becomes, due_in_s, upstream, ticket, verdict, outcome, status, answer, note, ord)
    ))
$$;
grant execute on function tasks.advance(
    uuid[], int[], text[], text[], bigint, double precision[], text[], text[], text[], text[], int[], text[], text[]
) to modellix_app;
