-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema webhooks is
    'Where teams want to be told of the end of their tasks, and what was sent there. A message is written in the transaction that ends its task (outbox).';
comment on column webhooks.endpoint.lane is
    'team, mode and origin: messages of one lane wait for each other, no others';
comment on column webhooks.endpoint.failing_since is
    'of the first failure after the last success';
comment on table webhooks.secret is
    'Signing secrets, sealed. While a replaced one still signs, a receiver may know either.';
comment on column webhooks.secret.endpoint_id is
    'null: the team''s, for links given with a task';
comment on column webhooks.secret.signs_until is
    'null: the current one';
comment on table webhooks.subscription is
    'A link given with one task. Written in the transaction that accepts the task, deleted when it ends.';
comment on column webhooks.message.url is
    'where no endpoint says it';
comment on column webhooks.message.payload is
    'the exact body, once it was sent in vain';
comment on column webhooks.message.lease is
    'raised by every lease: a former holder''s report no longer matches';
comment on column webhooks.message.tries is
    'since it was last put up for delivery; decides when to try again';
comment on column webhooks.message.attempts is
    'in all';
comment on column webhooks.delivery_attempt.status is
    'HTTP status of the answer, if there was one';
