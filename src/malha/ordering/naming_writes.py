"""What an order gets that it named; its row is locked."""

SET_SERVICE = "UPDATE sales_order SET service_id = %(found)s::int WHERE id = %(order_id)s::uuid"
SET_PICKUP_LOCATION = "UPDATE sales_order SET pickup_location_id = %(found)s::int WHERE id = %(order_id)s::uuid"
