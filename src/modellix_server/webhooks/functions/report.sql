-- As `write_reports`, under the locks of the endpoints concerned. Who changes several messages of an endpoint and waits
-- for them locks the endpoint first: reports, changes, replays and a deletion then wait for one another in a line, and
-- never in a ring. (Leases and the forgetting of old messages pass over what is locked.)
create or replace function webhooks.report(
    p_message uuid[], p_lease int[], p_delivered boolean[], p_again_in_s double precision[], p_status int[],
    p_error text[], p_took_ms int[], p_payload text[], p_disable text[]
) returns setof webhooks.endpoint language plpgsql as $$
begin
    perform from webhooks.endpoint
    where id in (select endpoint_id from webhooks.message where id = any (p_message))
    order by id for no key update;
    return query select * from webhooks.write_reports(
        p_message, p_lease, p_delivered, p_again_in_s, p_status, p_error, p_took_ms, p_payload, p_disable);
end
$$;
grant execute on function webhooks.report to modellix_app;
