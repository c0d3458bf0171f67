-- When a parcel was taken out for delivery, last: its units stay on their way, and the customer hears of it.
ALTER TABLE shipment ADD COLUMN out_at timestamptz;
