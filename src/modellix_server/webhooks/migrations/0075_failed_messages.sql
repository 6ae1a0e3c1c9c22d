-- Messages that were given up are few among many, and what people look for first.
-- outside a transaction
create index concurrently message_failed on webhooks.message (team_id, live, created_at desc) where state = 'failed';
