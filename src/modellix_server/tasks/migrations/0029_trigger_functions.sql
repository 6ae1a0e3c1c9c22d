-- Functions of triggers are called by nobody. Grants on all functions of the schema had included them.
revoke execute on function
    tasks.announce, tasks.announce_places, tasks.hand_over_slot, tasks.tell_webhooks
from modellix_app;
