-- Goods of an order may come together on paper, or no longer do: where, in both worlds.
ALTER TABLE simulation_order
    ADD COLUMN together_before text,
    ADD COLUMN together_after text;
