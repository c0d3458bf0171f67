-- A hundred thousand things may wait at one connection, to be told or to be taken: what is due is found in order, what is
-- under way by itself, and the others of an entity by the entity. It stands first there, so that a planner that was told
-- nothing yet of what waits takes these for nothing else.
CREATE INDEX channel_op_next ON channel_op (connection_id, kind, not_before, number) WHERE state = 'waiting';
CREATE INDEX channel_op_taken ON channel_op (connection_id, kind) WHERE state = 'waiting' AND taken_until IS NOT NULL;
CREATE INDEX channel_op_first ON channel_op (entity, connection_id, number) WHERE state = 'waiting';
CREATE INDEX channel_op_newest ON channel_op (entity, connection_id, kind, version)
    WHERE state IN ('waiting', 'done') AND kind IN ('set_price', 'put_listing');
CREATE INDEX channel_inbox_next ON channel_inbox (connection_id, trust, next_at, id) WHERE state = 'waiting';
CREATE INDEX channel_inbox_first ON channel_inbox (entity, connection_id, id) WHERE state = 'waiting';
CREATE INDEX channel_inbox_of_stuck ON channel_inbox (entity, id) WHERE state IN ('unmapped', 'parked');
DROP INDEX channel_op_due;
DROP INDEX channel_op_waiting;
DROP INDEX channel_inbox_due;
DROP INDEX channel_inbox_waiting;
