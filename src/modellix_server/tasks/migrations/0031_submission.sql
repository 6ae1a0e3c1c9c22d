-- A submission as `tasks.accept` gets it. A further field is a further attribute here: whoever does not know it leaves
-- it out, and it is null.
create type tasks.submission as (
    task_id uuid,
    team_id bigint,
    live boolean,
    key_id bigint,
    model text,
    params text,
    price text,
    quote bigint,
    deadline_s int,
    slots int,
    idempotency_key text,
    fingerprint text,     -- base64
    wait boolean,
    request_id text,
    webhook json          -- for `webhooks.subscribe`
);
