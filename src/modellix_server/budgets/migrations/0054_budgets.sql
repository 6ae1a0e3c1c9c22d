-- What a key or a whole team may spend in a period. Checked in the transaction that accepts a task: what a task holds
-- counts until it ends, then what it cost, always in the period in which it was accepted.
create schema budgets;
grant usage on schema budgets to modellix_app;

create table budgets.budget (
    id bigint generated always as identity primary key,
    team_id bigint not null,
    live boolean not null,
    key_id bigint,
    amount bigint not null check (amount >= 0),
    period text not null check (period in ('none', 'daily', 'weekly', 'monthly')),
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create unique index budget_of_key on budgets.budget (key_id) where key_id is not null and ended_at is null;
create index budget_in_force on budgets.budget (team_id) where ended_at is null;
create unique index budget_of_team on budgets.budget (team_id, live) where key_id is null and ended_at is null;

create table budgets.use (
    budget_id bigint not null references budgets.budget,
    starts timestamptz not null,
    held bigint not null default 0 check (held >= 0),
    used bigint not null default 0 check (used >= 0),
    primary key (budget_id, starts)
) with (fillfactor = 50);

create table budgets.charge (
    task_id uuid not null,
    budget_id bigint not null references budgets.budget,
    starts timestamptz not null,
    amount bigint not null check (amount >= 0),
    captured bigint check (captured between 0 and amount),
    primary key (task_id, budget_id)
);
create index charge_open on budgets.charge (budget_id) where captured is null;
create index charge_of_period on budgets.charge (budget_id, starts);

grant select on budgets.budget, budgets.use, budgets.charge to modellix_app;

comment on schema budgets is 'What a key or a whole team may spend in a period.';
comment on table budgets.budget is 'A limit in force, or one that was until ended_at; another period is another budget.';
comment on column budgets.budget.key_id is 'null: of all keys of the team in this mode, and of the console';
comment on column budgets.budget.amount is 'micro-dollars';
comment on table budgets.use is 'Sums of the charges of one budget in one period.';
comment on column budgets.use.starts is 'of the period in UTC; 1970 for a budget that does not reset';
comment on column budgets.use.held is 'by unfinished tasks';
comment on column budgets.use.used is 'captured of tasks that ended';
comment on table budgets.charge is 'What one task counts in one budget.';
comment on column budgets.charge.amount is 'held at accept';
comment on column budgets.charge.captured is 'null while the task is unfinished';
