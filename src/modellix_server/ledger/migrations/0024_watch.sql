-- The watch over the books (docs/adr/0014). Each look takes only what is new since the last one: what is surely
-- complete was added up into ledger.total, and ledger.mark tells up to which transfer.
create table ledger.mark (
    only_one boolean primary key default true check (only_one),
    up_to bigint not null default 0,          -- every transfer up to this number is in ledger.total
    ahead bigint not null default 0,          -- the next mark: complete when every transaction before
    ahead_xid xid8,                           -- this one has ended
    sealed bigint not null default 0,         -- the audit log has digests of all transfers up to this number
    sealed_at timestamptz not null default now(),
    looked_at timestamptz                     -- when the last look came to its end, whatever it found
);
insert into ledger.mark default values;

create table ledger.total (
    team_id bigint not null,
    live boolean not null,
    posted bigint not null,
    held bigint not null,
    primary key (team_id, live)
) with (fillfactor = 50);

-- Accounts that take no new tasks, because their books were found wrong, until an operator has put that right.
-- Team 0 stands for all.
create table ledger.frozen (
    team_id bigint not null,
    live boolean not null,
    since timestamptz not null default now(),
    reason text not null,
    primary key (team_id, live)
);

grant select on ledger.mark, ledger.total, ledger.frozen to modellix_app;
grant update (sealed, sealed_at, looked_at) on ledger.mark to modellix_app;
grant insert, delete on ledger.frozen to modellix_app;

-- What each transfer does to its account's balance.
create view ledger.effect as
    select id, team_id, live,
        case kind when 'topup' then amount
                  when 'capture' then -amount
                  when 'adjust' then case credit when 'team' then amount else -amount end
                  else 0 end as posted,
        case when credit = 'held' then amount when debit = 'held' then -amount else 0 end as held
    from ledger.transfer;
grant select on ledger.effect to modellix_app;

-- Moves the mark forward, by at most p_most numbers, and tells by how many, and how far ahead of it the newest is.
-- One caller at a time (advisory lock), and first in its transaction.
-- Numbers are given out in order but committed in any. Whoever writes transfers has locked a balance first, and with
-- that got a transaction number. So each number up to the newest that is visible belongs to a transaction that began
-- before the one whose number is taken next; when all of those have ended, what is there is all there will be.
create function ledger.carry(p_most bigint, out moved bigint, out newer bigint)
language plpgsql security definer set search_path = pg_catalog as $$
declare
    at ledger.mark;
    newest bigint;
    mine xid8;
    goal bigint;
begin
    moved := 0;
    if pg_current_xact_id_if_assigned() is not null then
        raise exception 'ledger.carry comes first in its transaction';
    end if;
    select coalesce(max(id), 0) into newest from ledger.transfer;
    mine := pg_current_xact_id();
    select * into strict at from ledger.mark;
    if at.ahead_xid <= pg_snapshot_xmin(pg_current_snapshot()) and at.ahead > at.up_to then
        goal := least(at.ahead, at.up_to + p_most);
        insert into ledger.total as t (team_id, live, posted, held)
        select team_id, live, sum(posted), sum(held) from ledger.effect
        where id > at.up_to and id <= goal group by team_id, live
        on conflict (team_id, live) do update set posted = t.posted + excluded.posted, held = t.held + excluded.held;
        moved := goal - at.up_to;
        at.up_to := goal;
    end if;
    -- A transaction number from the future was restored from another server.
    if at.up_to >= at.ahead or at.ahead_xid > mine then
        at.ahead := newest;
        at.ahead_xid := mine;
    end if;
    update ledger.mark set up_to = at.up_to, ahead = at.ahead, ahead_xid = at.ahead_xid;
    newer := newest - at.up_to;
end
$$;

-- Makes an account what its transfers say. The caller holds the advisory lock of the watch. Fails on the balance's
-- checks when they say less than nothing.
create function ledger.restate(p_team bigint, p_live boolean) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ledger.lock(array[p_team], array[p_live]);
    delete from ledger.total where team_id = p_team and live = p_live;
    insert into ledger.total (team_id, live, posted, held)
    select team_id, live, sum(posted), sum(held) from ledger.effect
    where team_id = p_team and live = p_live and id <= (select up_to from ledger.mark) group by team_id, live;
    update ledger.balance b set posted = s.posted, held = s.held
    from (select coalesce(sum(posted), 0) as posted, coalesce(sum(held), 0) as held from ledger.effect
          where team_id = p_team and live = p_live) s
    where b.team_id = p_team and b.live = p_live;
end
$$;

revoke execute on function ledger.carry(bigint), ledger.restate(bigint, boolean) from public;
grant execute on function ledger.carry(bigint), ledger.restate(bigint, boolean) to modellix_app;
