-- outside a transaction
alter table vault.account validate constraint account_weight;
