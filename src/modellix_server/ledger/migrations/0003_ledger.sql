-- The ledger: append-only double-entry transfers in micro-dollars, and one stored balance for each
-- team and mode. Every change of a balance happens in a function below, beside its transfer.
create schema ledger;
grant usage on schema ledger to modellix_app;

-- posted = money the team has; held = the part of it set aside for unfinished tasks.
create table ledger.balance (
    team_id bigint not null,
    live boolean not null,
    posted bigint not null default 0,
    held bigint not null default 0,
    primary key (team_id, live),
    check (held >= 0),
    check (posted - held >= 0)
) with (fillfactor = 50);  -- updated in place, often

create table ledger.transfer (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    team_id bigint not null,
    live boolean not null,
    kind text not null,
    debit text not null,
    credit text not null,
    amount bigint not null check (amount >= 0),  -- 0 only where a task is free: its hold and its release
    task_id uuid,
    key_id bigint,                            -- the key that caused it, where a key did
    actor text,                               -- the person or command that caused it, otherwise
    note text,
    closes boolean not null default false,    -- the row that ends a hold: one a task
    check ((kind, debit, credit) in (
        ('topup', 'funding', 'team'),
        ('adjust', 'team', 'adjustment'), ('adjust', 'adjustment', 'team'),
        ('hold', 'team', 'held'),
        ('capture', 'held', 'revenue'),
        ('release', 'held', 'team'))),
    check ((task_id is not null) = (kind in ('hold', 'capture', 'release'))),
    check (not closes or kind in ('capture', 'release')),
    check (amount > 0 or kind = 'hold' or (kind = 'release' and closes))
);
create unique index transfer_once on ledger.transfer (task_id, kind) where task_id is not null;
create unique index transfer_closes_once on ledger.transfer (task_id) where closes;
create index transfer_statement on ledger.transfer (team_id, live, id);

grant select on ledger.balance, ledger.transfer to modellix_app;

create function ledger.open_team(p_team bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ledger.balance (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;

-- Locks the balances of everyone concerned in one order, so that batches of several processes never
-- deadlock; all that follows in the transaction sees what the earlier holders of the locks left.
create function ledger.lock(p_team bigint[], p_live boolean[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform 1 from ledger.balance b
    where (b.team_id, b.live) in (select * from unnest(p_team, p_live))
    order by b.team_id, b.live for no key update;
end
$$;

-- Money in, or a correction when `p_micros` is negative. Fails on the balance's check when a correction
-- would take what is held or more than there is.
create function ledger.credit(p_team bigint, p_live boolean, p_micros bigint, p_actor text, p_note text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare available bigint;
begin
    update ledger.balance set posted = posted + p_micros where team_id = p_team and live = p_live
    returning posted - held into available;
    if not found then
        raise exception 'team % has no balance', p_team using errcode = 'no_data_found';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, actor, note)
    values (p_team, p_live,
        case when p_micros > 0 then 'topup' else 'adjust' end,
        case when p_micros > 0 then 'funding' else 'team' end,
        case when p_micros > 0 then 'team' else 'adjustment' end,
        abs(p_micros), p_actor, p_note);
    return available;
end
$$;

-- Sets money aside for tasks. The caller holds the locks and has chosen what fits; the guard in the
-- WHERE and the table's check make a wrong choice fail as a whole rather than overdraw.
create function ledger.hold(p_team bigint[], p_live boolean[], p_amount bigint[], p_task uuid[], p_key bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    wanted int;
    changed int;
begin
    with wish as (
        select team_id, live, sum(amount) as total
        from unnest(p_team, p_live, p_amount) as a (team_id, live, amount) group by team_id, live
    ), done as (
        update ledger.balance b set held = b.held + w.total from wish w
        where b.team_id = w.team_id and b.live = w.live and b.posted - b.held >= w.total
        returning 1
    )
    select (select count(*) from wish), (select count(*) from done) into wanted, changed;
    if wanted <> changed then
        raise exception 'a hold does not fit' using errcode = 'check_violation';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id)
    select team_id, live, 'hold', 'team', 'held', amount, task_id, key_id
    from unnest(p_team, p_live, p_amount, p_task, p_key) as a (team_id, live, amount, task_id, key_id);
end
$$;

-- Ends holds: captures `p_capture` of each and releases the rest, in one step. Raises when a hold is
-- missing, already ended (unique indexes) or smaller than the capture.
create function ledger.settle(p_task uuid[], p_capture bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare found_holds int;
begin
    with ending as (
        select h.team_id, h.live, h.amount as held, a.capture, h.task_id, h.key_id
        from unnest(p_task, p_capture) as a (task_id, capture)
        join ledger.transfer h on h.task_id = a.task_id and h.kind = 'hold'
    ), entries as (
        insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id, closes)
        select team_id, live, 'capture', 'held', 'revenue', capture, task_id, key_id, true
        from ending where capture > 0
        union all
        select team_id, live, 'release', 'held', 'team', held - capture, task_id, key_id, capture = 0
        from ending where held <> capture or capture = 0
    ), totals as (
        update ledger.balance b set posted = b.posted - t.captured, held = b.held - t.ended
        from (select team_id, live, sum(capture) as captured, sum(held) as ended from ending group by team_id, live) t
        where b.team_id = t.team_id and b.live = t.live
    )
    select count(*) from ending into found_holds;
    if found_holds <> cardinality(p_task) then
        raise exception 'a task without a hold' using errcode = 'no_data_found';
    end if;
end
$$;

revoke execute on all functions in schema ledger from public;
grant execute on all functions in schema ledger to modellix_app;
