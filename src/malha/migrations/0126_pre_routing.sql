-- Until when a published rule set is in force; NULL: until another one is. Then the one before it counts again, if its own
-- time lasts. A newer one that began later counts before it.
ALTER TABLE routing_rule_set ADD COLUMN effective_until timestamptz,
    ADD CONSTRAINT routing_rule_set_until CHECK (effective_until > effective_from);
