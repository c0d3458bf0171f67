"""What a Shopify shop is told: stock with what it takes the place of, parcels from where they left, cancels, refunds, each once."""
