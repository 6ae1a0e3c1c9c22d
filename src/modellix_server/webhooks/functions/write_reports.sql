-- Reports on attempts, each only while its lease is the last. p_again_in_s null: no more tries. p_disable,
-- where not null, says why the endpoint gets nothing any more; what waits for it has failed then. Returns
-- the endpoints that this call has disabled.
create or replace function webhooks.write_reports(
    p_message uuid[], p_lease int[], p_delivered boolean[], p_again_in_s double precision[], p_status int[],
    p_error text[], p_took_ms int[], p_payload text[], p_disable text[]
) returns setof webhooks.endpoint language sql as $$
    with said as (
        select * from unnest(p_message, p_lease, p_delivered, p_again_in_s, p_status, p_error, p_took_ms, p_payload, p_disable)
            as a (message_id, lease, delivered, again_in_s, status, error, took_ms, payload, disable)
    ), changed as (
        update webhooks.message m set
            tries = m.tries + 1,
            attempts = m.attempts + 1,
            state = case when s.delivered then 'delivered' when s.again_in_s is null then 'failed' else 'waiting' end,
            ended_at = case when s.delivered or s.again_in_s is null then now() end,
            due_at = now() + make_interval(secs => coalesce(s.again_in_s, 0)),
            payload = case when not s.delivered or m.task_id is null then coalesce(m.payload, s.payload) end
        from said s where m.id = s.message_id and m.lease = s.lease and m.state = 'waiting'
        returning m.id, m.attempts, m.endpoint_id, s.*
    ), logged as (
        insert into webhooks.delivery_attempt (message_id, n, status, error, took_ms)
        select id, attempts, status, error, took_ms from changed
    ), health as (
        select endpoint_id, bool_or(delivered) as delivers, max(disable) as why
        from changed where endpoint_id is not null group by endpoint_id
    ), judged as (
        update webhooks.endpoint p set
            failing_since = case when not h.delivers then coalesce(p.failing_since, now()) end,
            disabled_at = case when h.delivers then p.disabled_at else coalesce(p.disabled_at, case when h.why is not null then now() end) end,
            disabled_why = case when h.delivers then p.disabled_why else coalesce(p.disabled_why, h.why) end
        from health h
        where p.id = h.endpoint_id and (not h.delivers or p.failing_since is not null)
        returning p.*, h.why is not null and not h.delivers and p.disabled_at = now() as fell
    ), given_up as (
        update webhooks.message m set state = 'failed', ended_at = now()
        from judged j where j.fell and m.endpoint_id = j.id and m.state = 'waiting'
            and not exists (select from changed c where c.id = m.id)
    )
    select id, team_id, live, url, lane, created_at, failing_since, disabled_at, disabled_why from judged where fell
$$;
grant execute on function webhooks.write_reports to modellix_app;
