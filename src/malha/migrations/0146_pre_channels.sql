-- What a channel was asked to give back of an order, whatever became of it: summed before it is asked for more.
CREATE INDEX channel_op_refunds ON channel_op (entity, connection_id) WHERE kind = 'refund';
