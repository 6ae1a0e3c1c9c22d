-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema identity is
    'Teams and their API keys. A key''s text is never stored: only HMAC-SHA-256 under the server''s pepper.';
comment on column identity.api_key.prefix is
    'with last4: what people recognise a key by';
