-- What `serve` asks of the database for one submission, as a transaction of its own.
\set team random(1, {teams})
select * from tasks.accept(json_build_object(
    'task_id', json_build_array({uuid}), 'team_id', json_build_array(:team::bigint), 'live', json_build_array(false),
    'key_id', json_build_array(:team::bigint), 'model', json_build_array('{model}'), 'params', json_build_array('{params}'),
    'price', json_build_array('{price}'), 'quote', json_build_array({quote}), 'deadline_s', json_build_array({deadline_s}),
    'slots', json_build_array(2000000000), 'idempotency_key', json_build_array(null), 'wait', json_build_array(false),
    'request_id', json_build_array('pgbench')));
