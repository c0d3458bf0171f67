"""What happens, told to programs of others: webhooks that are called, a feed that is asked, and a catalogue of both."""
