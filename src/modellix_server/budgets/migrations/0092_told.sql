-- Budgets that are nearly or wholly used are told once in each period, and once more after the amount was raised.
create table budgets.told (
    budget_id bigint not null references budgets.budget,
    starts timestamptz not null,
    percent smallint not null,
    amount bigint not null,
    at timestamptz not null default now(),
    primary key (budget_id, starts, percent)
);
comment on table budgets.told is 'Thresholds that budgets have reached and that were told.';
comment on column budgets.told.amount is 'of the budget then, micro-dollars';
grant select on budgets.told to modellix_app;
alter table budgets.use add column refused_amount bigint;
comment on column budgets.use.refused_amount is 'the amount of the budget when a task did not fit; null: each did';
