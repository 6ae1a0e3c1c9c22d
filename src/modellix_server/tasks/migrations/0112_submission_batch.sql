-- Submissions as `tasks.accept` gets them, in JSON: a column for each field, which takes half the time of an object for
-- each submission. A further field is a further attribute here: whoever does not know it leaves it out, and it is null.
create type tasks.submission_batch as (
    task_id uuid[],
    team_id bigint[],
    live boolean[],
    key_id bigint[],
    model text[],
    params text[],
    price text[],
    quote bigint[],
    deadline_s int[],
    slots int[],
    idempotency_key text[],
    fingerprint text[],
    wait boolean[],
    request_id text[],
    actor text[],
    webhook json[]
);
comment on type tasks.submission_batch is
    'Submissions as tasks.accept gets them, in JSON: the n-th value of each column is of the n-th submission.';
comment on column tasks.submission_batch.fingerprint is 'SHA-256 of model and parameters, base64';
comment on column tasks.submission_batch.webhook is '{"url", "lane"} for webhooks.subscribe';
