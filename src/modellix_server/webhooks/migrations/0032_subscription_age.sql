-- A link is stored in the transaction that accepts its task, so none is ever left behind.
-- outside a transaction
drop index concurrently webhooks.subscription_age;
