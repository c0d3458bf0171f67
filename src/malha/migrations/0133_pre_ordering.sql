-- Where the goods of an order that is shipped come together before they leave in one shipment.
ALTER TABLE sales_order ADD COLUMN merge_location_id integer REFERENCES location;
