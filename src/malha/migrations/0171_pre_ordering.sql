-- What an order has off as a whole is shared by the lines it was sold with. A line that stands in for another has its
-- part of it in its own price; sharing anew, by it too, moved money between the lines that stayed. Lines of before
-- this keep sharing: what was told of them stays.
ALTER TABLE order_line ADD COLUMN shares_discount boolean NOT NULL DEFAULT true;
