-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema tasks is
    'Tasks: the row of a task is its queue entry. Functions accept, move and settle, so that money, slots and state change together or not at all.';
comment on column tasks.task.params is
    'JSON; bytes a client sent stand in it as sha256:<digest>';
comment on column tasks.task.price is
    'the frozen quote, JSON';
comment on column tasks.task.quote is
    'what is held, micro-dollars';
comment on column tasks.task.moves is
    'number of state moves so far; the id of its events';
comment on column tasks.task.epoch is
    'raised by every claim: a former owner''s writes no longer match';
comment on column tasks.task.owner is
    'the worker that has it';
comment on column tasks.task.ticket is
    'the vendor''s id of the current attempt';
comment on column tasks.task.verdict is
    'what the vendor delivered, JSON, while it is being stored';
comment on table tasks.slot is
    'Unfinished tasks of each team and mode. Changed only in the transaction that accepts or ends a task and only under the lock on the team''s balance, so it neither leaks nor grants one too many.';
comment on table tasks.move is
    'The history of a task, for people. Accepting is not a row: the task says when it was created.';
comment on table tasks.attempt is
    'One paid submission. The row exists before the POST leaves.';
comment on column tasks.attempt.outcome is
    'accepted, done, refused, busy, not_sent, unknown';
comment on column tasks.attempt.status is
    'HTTP status of the answer';
comment on column tasks.attempt.answer is
    'the vendor''s words, redacted and cut';
comment on table tasks.review is
    'Something a person should look at: money or state that does not fit what we expected.';
comment on table tasks.worker is
    'A worker is alive while it holds the advisory lock of its id and its lease has not run out.';
comment on table tasks.breaker is
    'Vendors that do not answer, as the workers found them: a row where something is wrong, or was. While a breaker is open nothing is submitted there but, at each `probe_at`, one task of one worker.';
comment on column tasks.breaker.opened_at is
    'null: closed';
comment on column tasks.breaker.probe_at is
    'when the next single try is due';
comment on table tasks.late_result is
    'Tasks that ended here without their vendor''s verdict, to be looked at twice more, the last time at or after last_at.';
comment on column tasks.task.cancel is
    '''asked'': the team wants it canceled; ''refused'': the vendor would not stop, the task runs on and is charged as delivered';
comment on column tasks.task.deaths is
    'how many workers died of handling it in the move deaths_at: a move starts a new count';
comment on column tasks.task.queue_no is
    'order among tasks that wait for a slot; null: it has one, or has ended';
comment on column tasks.task.request_id is
    'X-Request-Id of the call that made it; null for tasks of 0.1.0';
comment on column tasks.slot.waiting is
    'accepted tasks that wait for a slot';
comment on column tasks.submission.fingerprint is
    'SHA-256 of model and parameters, base64';
comment on column tasks.submission.webhook is
    '{"url", "lane"} for webhooks.subscribe';
comment on column tasks.wanted_move.due_in_s is
    'gives the task back to the queue until then';
comment on column tasks.wanted_move.upstream is
    'of the attempt that begins';
comment on type tasks.submission is
    'A submission as tasks.accept gets it, in JSON.';
comment on type tasks.wanted_move is
    'A move as tasks.advance gets it, in JSON.';
comment on type tasks.wanted_ending is
    'An ending as tasks.settle gets it, in JSON.';
comment on type tasks.attempt_record is
    'What an attempt''s row shall say of the vendor''s answer.';
