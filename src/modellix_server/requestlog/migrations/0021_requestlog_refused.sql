-- Refused calls are few among many polls, and what people look for first.
-- outside a transaction
create index concurrently entry_refused on requestlog.entry (team_id, live, at) where status >= 400;
