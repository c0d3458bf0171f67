"""What is sold over a connection: content worked out from the catalogue and overrides, published, ended, explained."""
