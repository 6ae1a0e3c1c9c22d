-- What `tasks.advance` and `tasks.settle` get of each change, as JSON. A further field is a further attribute here: whoever
-- does not know it leaves it out, and it is null.
create type tasks.attempt_record as (
    outcome text,
    status int,           -- HTTP status of the answer
    answer text           -- the vendor's words
);
create type tasks.wanted_move as (
    becomes text,
    due_in_s double precision,  -- gives the task back to the queue until then
    upstream text,        -- of the attempt that begins
    ticket text,
    verdict text,
    note text,
    record tasks.attempt_record
);
create type tasks.wanted_ending as (
    capture bigint,
    resources text,
    bytes bigint,
    error_code text,
    error_message text,
    review text,
    record tasks.attempt_record
);
