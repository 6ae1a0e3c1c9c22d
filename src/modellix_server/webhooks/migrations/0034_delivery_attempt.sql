-- Tasks have attempts too, and had them first. No release has this table.
alter table webhooks.attempt rename to delivery_attempt;
do $$
declare
    old name;
begin
    for old in select conname from pg_constraint where conrelid = 'webhooks.delivery_attempt'::regclass and starts_with(conname, 'attempt_') loop
        execute format('alter table webhooks.delivery_attempt rename constraint %I to %I', old, 'delivery_attempt' || substr(old, length('attempt') + 1));
    end loop;
end
$$;
