-- The idempotency key of an attempt to send a request, and its number. `p_try` is how often the client says that it has
-- sent the request again: 0 begins a new one with `p_key`; more continues an earlier one of the last 15 minutes; null,
-- from a client that does not count, continues only one that got no answer. Equal requests are told apart by how often
-- each was sent; their attempts may change places, which their clients cannot tell. So there are never more keys than
-- requests that were begun (docs/adr/0031).
create or replace function tasks.begin_sending(
    p_team bigint, p_live boolean, p_digest bytea, p_key text, p_try int, out key text, out tries int
) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(encode(p_digest, 'hex'), p_team));  -- or two attempts take one place
    if p_try is null or p_try > 0 then
        select s.key, coalesce(p_try, s.tries + 1) into key, tries
        from tasks.sending s
        where s.team_id = p_team and s.live = p_live and s.digest = p_digest
            and s.changed_at > now() - interval '15 minutes'
            and (p_try is not null or s.state in ('lost', 'refused'))
        order by coalesce(s.tries < p_try, true) desc,
            case when s.state = 'lost' then 0
                when s.state = 'refused' and s.changed_at > now() - interval '130 seconds' then 1  -- clients wait 120 s
                when s.state = 'open' then 2
                when s.state = 'answered' then 3  -- and the answer was lost
                else 4 end,
            case when s.state = 'answered' then now() - s.changed_at else s.changed_at - now() end
        limit 1;
        if found then
            update tasks.sending s set tries = begin_sending.tries, state = 'open', changed_at = now()
            where s.team_id = p_team and s.live = p_live and s.digest = p_digest and s.key = begin_sending.key;
            return;
        end if;
    end if;
    key := p_key;
    tries := coalesce(p_try, 0);
    insert into tasks.sending (team_id, live, digest, key, tries, state)
    values (p_team, p_live, p_digest, key, tries, 'open');
end
$$;
grant execute on function tasks.begin_sending to modellix_app;
