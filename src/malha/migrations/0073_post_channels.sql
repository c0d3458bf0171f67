-- Connections to partners named a channel that meant nothing; older code does not see a connection without one.
UPDATE connection SET channel_id = NULL, version = version + 1
WHERE connector IN ('partner_files', 'partner_http') AND channel_id IS NOT NULL;
