-- Which endpoints are told of more than ended tasks: that the balance is low, that a budget is nearly or wholly used.
create table webhooks.alert_choice (
    endpoint_id uuid primary key references webhooks.endpoint on delete cascade,
    balance_below bigint check (balance_below > 0),
    budgets boolean not null,
    low_since timestamptz
);
comment on table webhooks.alert_choice is 'What an endpoint is told beside ended tasks; without a row, nothing.';
comment on column webhooks.alert_choice.balance_below is 'micro-dollars: told when less is available; null: not told of it';
comment on column webhooks.alert_choice.budgets is 'whether it is told of budgets';
comment on column webhooks.alert_choice.low_since is 'told then that the balance is low, and it has not recovered since';
grant select, insert, update, delete on webhooks.alert_choice to modellix_app;

alter table webhooks.message alter column task_id drop not null;
comment on column webhooks.message.task_id is 'null: an alert, whose payload is written with it';
