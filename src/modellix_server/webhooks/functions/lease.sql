-- Leases up to p_limit messages that are due, from every lane as many as it has room for, so that a lane
-- with a long queue is passed by. A lease ends by itself: a message nobody reports on is due again.
create or replace function webhooks.lease(
    p_lane text[], p_room int[], p_usual_room int, p_full_team bigint[], p_limit int, p_lease_s double precision
) returns setof webhooks.message language sql as $$
    with recursive lanes as (
        (select lane from webhooks.message where state = 'waiting' order by lane limit 1)
        union all
        select (select m.lane from webhooks.message m where m.state = 'waiting' and m.lane > l.lane order by m.lane limit 1)
        from lanes l where l.lane is not null
    ), candidate as materialized (
        select d.id from lanes l
        left join unnest(p_lane, p_room) as known (lane, room) on known.lane = l.lane
        cross join lateral (
            select m.id, m.due_at from webhooks.message m
            where m.state = 'waiting' and m.lane = l.lane and m.due_at <= now()
            order by m.due_at limit coalesce(known.room, p_usual_room)) d
        where l.lane is not null and split_part(l.lane, ':', 1)::bigint <> all (p_full_team)
        order by d.due_at limit p_limit
    )
    update webhooks.message m set lease = m.lease + 1, due_at = now() + make_interval(secs => p_lease_s)
    where m.id in (
        select w.id from webhooks.message w
        where w.id in (select id from candidate) and w.state = 'waiting' and w.due_at <= now()
        for update skip locked)
    returning m.*
$$;
grant execute on function webhooks.lease to modellix_app;
