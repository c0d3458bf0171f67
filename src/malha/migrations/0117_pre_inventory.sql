-- Goods that came with a transfer and that nobody asked for have a line, too: of them nothing was asked.
ALTER TABLE transfer_line
    DROP CONSTRAINT transfer_line_asked_check,
    ADD CONSTRAINT transfer_line_asked_check CHECK (asked >= 0);
