-- Old charges are dropped; what they cost stays in the sums.
alter table budgets.use add column carried bigint not null default 0 check (carried >= 0);
comment on column budgets.use.carried is 'the part of `used` whose charges were dropped';

-- outside a transaction
create index concurrently charge_of_budget on budgets.charge (budget_id, task_id);
drop index concurrently budgets.charge_of_period;
