-- Has the end of each task told to a link: {"url", "lane"}. Called inside the transaction that accepts the tasks.
create or replace function webhooks.subscribe(p_task uuid[], p_link json[]) returns void language sql as $$
    insert into webhooks.subscription (task_id, url, lane)
    select task_id, link ->> 'url', link ->> 'lane' from unnest(p_task, p_link) as a (task_id, link)
$$;
grant execute on function webhooks.subscribe to modellix_app;
