-- Versions must appear in their order, or a reader between two commits would see a newest version whose
-- predecessor turns up later: hence one writer at a time.
create or replace function pricing.set_price(p_model text, p_tier text, p_unit_micros bigint, p_margin_bp int, p_by text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare made bigint;
begin
    perform pg_advisory_xact_lock(hashtext('pricing.price'));
    insert into pricing.price (model, tier, unit_micros, margin_bp, created_by)
    values (p_model, p_tier, p_unit_micros, p_margin_bp, p_by) returning version into made;
    return made;
end
$$;
grant execute on function pricing.set_price to modellix_app;
