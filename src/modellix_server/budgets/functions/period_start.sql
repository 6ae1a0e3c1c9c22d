-- When the period that contains a moment began, in UTC; weeks begin on Monday.
create or replace function budgets.period_start(p_period text, p_at timestamptz) returns timestamptz
language sql stable as $$
    select case p_period
        when 'daily' then date_trunc('day', p_at, 'UTC')
        when 'weekly' then date_trunc('week', p_at, 'UTC')
        when 'monthly' then date_trunc('month', p_at, 'UTC')
        else 'epoch'::timestamptz end
$$;
grant execute on function budgets.period_start to modellix_app;
