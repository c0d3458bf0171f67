"""WooCommerce, through its REST API wc/v3: Basic over https, OAuth 1.0a with one leg over http.

Times of change are whole seconds there, and two changes within one second look the same. So a second is over before it
is believed: what is read within `SETTLED` of its change is told again, as a newer version, once that is long past.

WooCommerce knows no keys of ours. What is told once is marked where it is found again: a parcel and a whole cancel by a
field of the order's metadata that bears their name, a cancel of some units and a refund by a mark at the end of their
reason. Parcels have no place of their own in WooCommerce: their tracking goes where the plug-ins "Shipment Tracking"
and "Correios" read it, and into a note of the order.
"""
