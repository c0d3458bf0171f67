-- A small retailer as a program of November 26, 2026 left it, whose newest migration was 0021: orders in every state of
-- then, work, a hold, a note, and two orders whose events wait. Written by that program, dumped as rows; nobody's data.
INSERT INTO api_key (id, name, prefix, secret_hash, permissions, everywhere, created_at, created_by, expires_at, revoked_at, last_used_at) OVERRIDING SYSTEM VALUE VALUES
	(1, 'bench', 'ogsclgk6', '\x3b4a597067e9b43f5cbfe5b57f0468e6715f2726a6528279e7ece50a6ec30ad7', '{intake:submit}', true, '2026-11-30 09:12:14.139755+00', 'system', NULL, NULL, NULL);
INSERT INTO legal_entity (id, name, cnpj_root, kind, version) OVERRIDING SYSTEM VALUE VALUES
	(1, 'Bench', '12345678', 'own', 1);
INSERT INTO establishment (id, legal_entity_id, code, name, cnpj, state_registration, state, tax_regime, document_policy, active, version) OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'BENCH', 'Bench', '12345678000195', NULL, 'SP', 'normal', 'required', true, 1);
INSERT INTO location (id, code, name, kind, establishment_id, status, address, state, postal_code, latitude, longitude, timezone, opening_hours, holiday_calendar, can_ship, can_pickup, can_curbside, can_return, cut_off, daily_capacity, handling_cost, line_cost, priority, version, paused_reason, paused_until, pickup_days) OVERRIDING SYSTEM VALUE VALUES
	(1, 'L1', 'Location 1', 'distribution_centre', 1, 'active', '{}', 'RJ', NULL, -22, -45, 'America/Sao_Paulo', '{}', 'BR', true, false, false, false, '14:00:00', NULL, 151, 80, 100, 1, NULL, NULL, 7),
	(2, 'L2', 'Location 2', 'distribution_centre', 1, 'active', '{}', 'MG', NULL, -21, -44, 'America/Sao_Paulo', '{}', 'BR', true, false, false, false, '14:00:00', NULL, 152, 80, 100, 1, NULL, NULL, 7);
INSERT INTO audit (id, at, actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after) OVERRIDING SYSTEM VALUE VALUES
	(1, '2026-11-30 09:12:14.139755+00', 'system', NULL, 'system', NULL, NULL, 'create', 'api_key', '1', NULL, '{"name":"bench","prefix":"ogsclgk6","secret_hash":"","permissions":["intake:submit"],"everywhere":true,"created_by":"system","locations":[]}');
INSERT INTO product (id, code, name, description, brand, category_id, ncm, cest, origin, options, attributes, active, version) OVERRIDING SYSTEM VALUE VALUES
	(1, 'BENCH', 'Bench', '', NULL, NULL, NULL, NULL, 0, '[]', '{}', true, 1);
INSERT INTO variant (id, product_id, sku, name, gtin, options, weight_grams, length_mm, width_mm, height_mm, price, is_kit, active, folded, version) OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'SKU1', 'Product 1', NULL, '{}', 101, 0, 0, 0, 1990, false, true, '', 1),
	(2, 1, 'SKU2', 'Product 2', NULL, '{}', 102, 0, 0, 0, 1990, false, true, '', 1),
	(3, 1, 'SKU3', 'Product 3', NULL, '{}', 103, 0, 0, 0, 1990, false, true, '', 1);
INSERT INTO balance (sku_id, location_id, on_hand, allocated, held, safety) VALUES
	(1, 2, 20, 0, 0, 0),
	(2, 2, 20, 0, 0, 0),
	(3, 2, 20, 0, 0, 0),
	(2, 1, 20, 6, 0, 0),
	(3, 1, 20, 17, 0, 0),
	(1, 1, 20, 7, 0, 0);
INSERT INTO channel (id, code, name, kind, establishment_id, currency, shortage_policy, payment_policy, release_delay_minutes, priority, active, version, pickup_days) OVERRIDING SYSTEM VALUE VALUES
	(1, 'web', 'Web', 'web', NULL, 'BRL', 'reject', 'settled_by_channel', 15, 100, true, 1, NULL);
INSERT INTO event ("position", at, seq, version, key, type, actor, payload) VALUES
	(1, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e349112602', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e349112602","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(2, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e4f479e502', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e4f479e502","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(3, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e5f1eecf72","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(4, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e68fc005ba', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e68fc005ba","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(5, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e7782f645d', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e7782f645d","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(6, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e806ca985f', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e806ca985f","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(7, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e9d688e1c8","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(8, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76ea866a047f', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ea866a047f","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(9, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76ebef78a961', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ebef78a961","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(10, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76ecc56d6437', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ecc56d6437","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(11, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76ed31a7059e', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ed31a7059e","channel_id":1,"total":6980,"status":"allocated","holds":[],"locations":[1]}'),
	(12, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd0-7034-9a59-76ee80b9753f', 'order.placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ee80b9753f","channel_id":1,"total":8970,"status":"allocated","holds":[],"locations":[1]}'),
	(13, '2026-11-30 09:12:14.911099+00', 1, 1, 'order:01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 'order.placed', 'system', '{"id":"01a22bb9-ecd1-70cc-bf13-e5934e0f314d","channel_id":1,"total":1990,"status":"on_hold","holds":["unknown_sku"],"locations":[]}'),
	(14, '2026-11-30 09:12:14.272141+00', 1, 1, 'stock:01a22bb9-eb01-72e2-9114-ec386b6fe78c', 'stock.increased', 'system', '{"id":"01a22bb9-eb01-72e2-9114-ec386b6fe78c","reason":"initial","skus":[1,1,2,2,3,3],"locations":[1,2,1,2,1,2]}'),
	(15, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e349112602', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e349112602","fulfillment_id":"01a22bb9-ef52-71a1-be29-035634d2ede4","number":1,"location_id":1,"units":2,"due_at":"2026-11-30T21:00:00Z"}'),
	(16, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e4f479e502', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e4f479e502","fulfillment_id":"01a22bb9-ef52-71a1-be29-0357835c66b2","number":2,"location_id":1,"units":3,"due_at":"2026-11-30T21:00:00Z"}'),
	(17, '2026-11-30 06:12:15.403094+00', 3, 1, 'order:01a22bb9-ecd0-7034-9a59-76e4f479e502', 'fulfillment.accepted', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e4f479e502","fulfillment_id":"01a22bb9-ef52-71a1-be29-0357835c66b2","number":2,"location_id":1}'),
	(18, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e5f1eecf72","fulfillment_id":"01a22bb9-ef52-71a1-be29-0358010dd291","number":3,"location_id":1,"units":2,"due_at":"2026-11-30T21:00:00Z"}'),
	(19, '2026-11-30 06:12:15.403094+00', 3, 1, 'order:01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 'fulfillment.accepted', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e5f1eecf72","fulfillment_id":"01a22bb9-ef52-71a1-be29-0358010dd291","number":3,"location_id":1}'),
	(20, '2026-11-30 06:12:15.403094+00', 4, 1, 'order:01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 'fulfillment.picked', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e5f1eecf72","fulfillment_id":"01a22bb9-ef52-71a1-be29-0358010dd291","number":3,"location_id":1,"lines":[[1,3,1],[2,3,1]]}'),
	(21, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e68fc005ba', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e68fc005ba","fulfillment_id":"01a22bb9-ef52-71a1-be29-03596a52f773","number":4,"location_id":1,"units":3,"due_at":"2026-11-30T21:00:00Z"}'),
	(22, '2026-11-30 06:12:15.403094+00', 3, 1, 'order:01a22bb9-ecd0-7034-9a59-76e68fc005ba', 'fulfillment.accepted', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e68fc005ba","fulfillment_id":"01a22bb9-ef52-71a1-be29-03596a52f773","number":4,"location_id":1}'),
	(23, '2026-11-30 06:12:15.403094+00', 4, 1, 'order:01a22bb9-ecd0-7034-9a59-76e68fc005ba', 'fulfillment.picked', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e68fc005ba","fulfillment_id":"01a22bb9-ef52-71a1-be29-03596a52f773","number":4,"location_id":1,"lines":[[1,1,2],[2,3,1]]}'),
	(24, '2026-11-30 06:12:15.403094+00', 5, 1, 'order:01a22bb9-ecd0-7034-9a59-76e68fc005ba', 'fulfillment.packed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e68fc005ba","fulfillment_id":"01a22bb9-ef52-71a1-be29-03596a52f773","number":4,"location_id":1,"parcels":1,"weight_grams":null,"units":3,"awaits_document":true}'),
	(25, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e7782f645d', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e7782f645d","fulfillment_id":"01a22bb9-ef52-71a1-be29-035ae18faf6b","number":5,"location_id":1,"units":2,"due_at":"2026-11-30T21:00:00Z"}'),
	(26, '2026-11-30 06:12:15.403094+00', 3, 1, 'order:01a22bb9-ecd0-7034-9a59-76e7782f645d', 'fulfillment.accepted', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e7782f645d","fulfillment_id":"01a22bb9-ef52-71a1-be29-035ae18faf6b","number":5,"location_id":1}'),
	(27, '2026-11-30 06:12:15.403094+00', 4, 1, 'order:01a22bb9-ecd0-7034-9a59-76e7782f645d', 'fulfillment.picked', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e7782f645d","fulfillment_id":"01a22bb9-ef52-71a1-be29-035ae18faf6b","number":5,"location_id":1,"lines":[[1,2,1],[2,3,1]]}'),
	(28, '2026-11-30 06:12:15.403094+00', 5, 1, 'order:01a22bb9-ecd0-7034-9a59-76e7782f645d', 'fulfillment.packed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e7782f645d","fulfillment_id":"01a22bb9-ef52-71a1-be29-035ae18faf6b","number":5,"location_id":1,"parcels":1,"weight_grams":null,"units":2,"awaits_document":true}'),
	(29, '2026-11-30 06:12:15.403094+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e806ca985f', 'fulfillment.released', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e806ca985f","fulfillment_id":"01a22bb9-ef52-71a1-be29-035b2a39182b","number":6,"location_id":1,"units":3,"due_at":"2026-11-30T21:00:00Z"}'),
	(30, '2026-11-30 06:12:15.403094+00', 3, 1, 'order:01a22bb9-ecd0-7034-9a59-76e806ca985f', 'fulfillment.accepted', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e806ca985f","fulfillment_id":"01a22bb9-ef52-71a1-be29-035b2a39182b","number":6,"location_id":1}'),
	(31, '2026-11-30 06:12:15.403094+00', 4, 1, 'order:01a22bb9-ecd0-7034-9a59-76e806ca985f', 'fulfillment.picked', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e806ca985f","fulfillment_id":"01a22bb9-ef52-71a1-be29-035b2a39182b","number":6,"location_id":1,"lines":[[1,3,2],[2,3,1]]}'),
	(32, '2026-11-30 06:12:15.403094+00', 5, 1, 'order:01a22bb9-ecd0-7034-9a59-76e806ca985f', 'fulfillment.packed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e806ca985f","fulfillment_id":"01a22bb9-ef52-71a1-be29-035b2a39182b","number":6,"location_id":1,"parcels":1,"weight_grams":null,"units":3,"awaits_document":true}'),
	(33, '2026-11-30 09:12:15.61968+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 'order.cancelled', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76e9d688e1c8","lines":{"1":1,"2":1},"amount":6980,"whole":true,"reason":"Cliente desistiu","locations":[1]}'),
	(34, '2026-11-30 09:12:15.713476+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76ea866a047f', 'order.hold_placed', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ea866a047f","kind":"fraud","note":"Valor alto"}'),
	(35, '2026-11-30 09:12:15.762134+00', 2, 1, 'order:01a22bb9-ecd0-7034-9a59-76ebef78a961', 'order.note_added', 'system', '{"id":"01a22bb9-ecd0-7034-9a59-76ebef78a961","note_id":"01a22bb9-f0ac-7214-82da-7f836759e7cb"}'),
	(36, '2026-11-30 09:12:15.61968+00', 1, 1, 'stock:01a22bb9-f051-72e7-8b3d-a61309987750', 'stock.increased', 'system', '{"id":"01a22bb9-f051-72e7-8b3d-a61309987750","reason":"cancel","skus":[1,3],"locations":[1,1]}');
INSERT INTO sales_order (id, number, channel_id, external_id, request_key, body_hash, placed_at, received_at, currency, status, items_total, discount_total, shipping_total, total, cancelled_total, method, service_id, pickup_location_id, buyer_name, buyer_document, buyer_email, buyer_phone, ship_to, ship_state, promised_at, release_after, seq) OVERRIDING SYSTEM VALUE VALUES
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 3, 1, 'W-10', NULL, '3f75b1c7-fed6-d249-922b-185062b8e429', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'allocated', 6980, 0, 0, 6980, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 1),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 4, 1, 'W-11', NULL, 'bd10d055-0d3e-b736-cffd-8c086b93f371', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'allocated', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 1),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 12, 1, 'W-9', NULL, 'a13a0969-f164-92fe-7bc7-5861192d3bfb', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'allocated', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 1),
	('01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 13, 1, 'W-unknown', NULL, '259795af-e120-7f6a-8ada-64052b95e7b4', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'on_hold', 1990, 0, 0, 1990, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', NULL, '2026-11-30 09:27:14.911099+00', 1),
	('01a22bb9-ecd0-7034-9a59-76e349112602', 1, 1, 'W-0', NULL, '8cb76a6c-5a1f-c52c-7bbc-ed12239c928b', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'picking', 6980, 0, 0, 6980, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 2),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 2, 1, 'W-1', NULL, 'f0dcd784-0809-639f-1beb-9fc2e3e0f27b', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'picking', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 3),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 9, 1, 'W-6', NULL, 'fc79a11a-90a0-afe6-4903-7f98d9411026', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'cancelled', 6980, 0, 0, 6980, 6980, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 2),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 10, 1, 'W-7', NULL, '663fe133-448c-3d13-d3c3-5613b417b38e', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'on_hold', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 2),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 11, 1, 'W-8', NULL, 'c15ea9b4-f4ca-f068-bc76-26326c7a1516', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'allocated', 6980, 0, 0, 6980, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 2),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 5, 1, 'W-2', NULL, '12b4f930-8e0d-6d41-eff6-a2da8d8a824e', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'picking', 6980, 0, 0, 6980, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 4),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 6, 1, 'W-3', NULL, 'daa4a90a-7b4b-7aaf-07ab-0ff988840121', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'packed', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 5),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 7, 1, 'W-4', NULL, '84402db3-612d-1d8b-117c-c5eddbb0fefd', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'packed', 6980, 0, 0, 6980, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 5),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 8, 1, 'W-5', NULL, '1db9a38e-c994-a27c-99ed-ad6438b3de1d', '2026-11-30 09:12:14.911099+00', '2026-11-30 09:12:14.891512+00', 'BRL', 'packed', 8970, 0, 0, 8970, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:14.911099+00', 5),
	('01a22bb9-f333-707d-943f-b2b784fb3aaf', 14, 1, 'P-0', NULL, '6df0cc16-9186-514c-7e4c-0ed119164d42', '2026-11-30 09:12:16.454941+00', '2026-11-30 09:12:16.452205+00', 'BRL', 'allocated', 1990, 0, 0, 1990, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:16.454941+00', 1),
	('01a22bb9-f333-707d-943f-b2b8399bef16', 15, 1, 'P-1', NULL, '39d5f234-ffdd-f614-27ed-c17abd56d293', '2026-11-30 09:12:16.454941+00', '2026-11-30 09:12:16.452205+00', 'BRL', 'allocated', 1990, 0, 0, 1990, 0, 'ship', NULL, NULL, '', NULL, NULL, NULL, '{"city": "São Paulo", "state": "SP", "number": "1000", "street": "Av. Paulista", "postal_code": "01310100"}', 'SP', '2026-12-03 23:59:59+00', '2026-11-30 09:27:16.454941+00', 1);
INSERT INTO service (id, code, name, carrier, method, active, version) OVERRIDING SYSTEM VALUE VALUES
	(1, 'standard', 'Standard', 'Carrier', 'ship', true, 1);
INSERT INTO fulfillment_order (id, number, order_id, location_id, method, service_id, state, capacity_day, released_at, due_at, accepted_at, picked_at, packed_at, closed_at, reason, pickup_code, pickup_until, pickup_misses, assignee, version, pickup_remind_at, pickup_expired_at, pickup_returned) OVERRIDING SYSTEM VALUE VALUES
	('01a22bb9-ef52-71a1-be29-035634d2ede4', 1, '01a22bb9-ecd0-7034-9a59-76e349112602', 1, 'ship', NULL, 'open', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 1, NULL, NULL, NULL),
	('01a22bb9-ef52-71a1-be29-0357835c66b2', 2, '01a22bb9-ecd0-7034-9a59-76e4f479e502', 1, 'ship', NULL, 'accepted', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', '2026-11-30 06:12:15.403094+00', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, NULL, NULL),
	('01a22bb9-ef52-71a1-be29-0358010dd291', 3, '01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 1, 'ship', NULL, 'picked', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', NULL, NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, NULL, NULL),
	('01a22bb9-ef52-71a1-be29-03596a52f773', 4, '01a22bb9-ecd0-7034-9a59-76e68fc005ba', 1, 'ship', NULL, 'packed', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, NULL, NULL),
	('01a22bb9-ef52-71a1-be29-035ae18faf6b', 5, '01a22bb9-ecd0-7034-9a59-76e7782f645d', 1, 'ship', NULL, 'packed', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, NULL, NULL),
	('01a22bb9-ef52-71a1-be29-035b2a39182b', 6, '01a22bb9-ecd0-7034-9a59-76e806ca985f', 1, 'ship', NULL, 'packed', '2026-11-30', '2026-11-30 06:12:15.403094+00', '2026-11-30 21:00:00+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', '2026-11-30 06:12:15.403094+00', NULL, NULL, NULL, NULL, 0, NULL, 2, NULL, NULL, NULL);
INSERT INTO location_day (location_id, day, taken) VALUES
	(1, '2026-11-30', 6);
INSERT INTO movement (id, recorded_at, occurred_at, sku_id, location_id, d_on_hand, d_allocated, d_held, reason, ref_kind, ref_id, ref_text, actor) OVERRIDING SYSTEM VALUE VALUES
	(1, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 1, 1, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(2, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 1, 2, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(3, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 2, 1, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(4, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 2, 2, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(5, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 3, 1, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(6, '2026-11-30 09:12:14.272141+00', '2026-11-30 09:12:14.272141+00', 3, 2, 20, 0, 0, 'initial', 'bench', NULL, NULL, 'system'),
	(7, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 1, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e349112602', NULL, 'system'),
	(8, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e349112602', NULL, 'system'),
	(9, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 2, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e4f479e502', NULL, 'system'),
	(10, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e4f479e502', NULL, 'system'),
	(11, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e5f1eecf72', NULL, 'system'),
	(12, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e5f1eecf72', NULL, 'system'),
	(13, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 1, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e68fc005ba', NULL, 'system'),
	(14, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e68fc005ba', NULL, 'system'),
	(15, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 2, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e7782f645d', NULL, 'system'),
	(16, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e7782f645d', NULL, 'system'),
	(17, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e806ca985f', NULL, 'system'),
	(18, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e806ca985f', NULL, 'system'),
	(19, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 1, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e9d688e1c8', NULL, 'system'),
	(20, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76e9d688e1c8', NULL, 'system'),
	(21, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 2, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ea866a047f', NULL, 'system'),
	(22, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ea866a047f', NULL, 'system'),
	(23, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ebef78a961', NULL, 'system'),
	(24, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ebef78a961', NULL, 'system'),
	(25, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 1, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ecc56d6437', NULL, 'system'),
	(26, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ecc56d6437', NULL, 'system'),
	(27, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 2, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ed31a7059e', NULL, 'system'),
	(28, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ed31a7059e', NULL, 'system'),
	(29, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 2, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ee80b9753f', NULL, 'system'),
	(30, '2026-11-30 09:12:14.891512+00', '2026-11-30 09:12:14.891512+00', 3, 1, 0, 1, 0, 'order', 'order', '01a22bb9-ecd0-7034-9a59-76ee80b9753f', NULL, 'system'),
	(31, '2026-11-30 09:12:15.61968+00', '2026-11-30 09:12:15.61968+00', 1, 1, 0, -1, 0, 'cancel', 'order', '01a22bb9-ecd0-7034-9a59-76e9d688e1c8', NULL, 'system'),
	(32, '2026-11-30 09:12:15.61968+00', '2026-11-30 09:12:15.61968+00', 3, 1, 0, -1, 0, 'cancel', 'order', '01a22bb9-ecd0-7034-9a59-76e9d688e1c8', NULL, 'system'),
	(33, '2026-11-30 09:12:16.452205+00', '2026-11-30 09:12:16.452205+00', 1, 1, 0, 1, 0, 'order', 'order', '01a22bb9-f333-707d-943f-b2b784fb3aaf', NULL, 'system'),
	(34, '2026-11-30 09:12:16.452205+00', '2026-11-30 09:12:16.452205+00', 1, 1, 0, 1, 0, 'order', 'order', '01a22bb9-f333-707d-943f-b2b8399bef16', NULL, 'system');
INSERT INTO order_hold (id, order_id, kind, detail, placed_at, placed_by, resolved_at, resolved_by, resolution) VALUES
	('01a22bb9-ed41-742c-b21b-42044e2677b2', '01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 'unknown_sku', '{"lines": [1]}', '2026-11-30 09:12:14.891512+00', 'system', NULL, NULL, NULL),
	('01a22bb9-f069-7525-8ceb-8e35e09b64ff', '01a22bb9-ecd0-7034-9a59-76ea866a047f', 'fraud', '{"note": "Valor alto"}', '2026-11-30 09:12:15.713476+00', 'system', NULL, NULL, NULL);
INSERT INTO order_line (order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, total, external_id) VALUES
	('01a22bb9-ecd0-7034-9a59-76e349112602', 1, 1, 'SKU1', 'Product 1', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e349112602', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 1, 2, 'SKU2', 'Product 2', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 1, 3, 'SKU3', 'Product 3', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 1, 1, 'SKU1', 'Product 1', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 1, 2, 'SKU2', 'Product 2', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 1, 3, 'SKU3', 'Product 3', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 1, 1, 'SKU1', 'Product 1', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 1, 2, 'SKU2', 'Product 2', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 1, 3, 'SKU3', 'Product 3', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 1, 1, 'SKU1', 'Product 1', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 1, 2, 'SKU2', 'Product 2', 1, 1990, 0, 1990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 1, 3, 'SKU3', 'Product 3', 2, 1990, 0, 3980, NULL),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 2, 3, 'SKU3', 'Product 3', 1, 4990, 0, 4990, NULL),
	('01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 1, NULL, 'NO-SUCH', '', 1, 1990, 0, 1990, NULL),
	('01a22bb9-f333-707d-943f-b2b784fb3aaf', 1, 1, 'SKU1', 'Product 1', 1, 1990, 0, 1990, NULL),
	('01a22bb9-f333-707d-943f-b2b8399bef16', 1, 1, 'SKU1', 'Product 1', 1, 1990, 0, 1990, NULL);
INSERT INTO order_note (id, order_id, text, written_at, written_by, author) VALUES
	('01a22bb9-f0ac-7214-82da-7f836759e7cb', '01a22bb9-ecd0-7034-9a59-76ebef78a961', 'Portaria.', '2026-11-30 09:12:15.762134+00', 'system', 'system');
INSERT INTO order_search (order_id, placed_at, document) VALUES
	('01a22bb9-ecd0-7034-9a59-76e349112602', '2026-11-30 09:12:14.911099+00', '1 w-0 sku1 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', '2026-11-30 09:12:14.911099+00', '2 w-1 sku2 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', '2026-11-30 09:12:14.911099+00', '5 w-2 sku3 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', '2026-11-30 09:12:14.911099+00', '6 w-3 sku1 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', '2026-11-30 09:12:14.911099+00', '7 w-4 sku2 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', '2026-11-30 09:12:14.911099+00', '8 w-5 sku3 sku3'),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', '2026-11-30 09:12:14.911099+00', '9 w-6 sku1 sku3'),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', '2026-11-30 09:12:14.911099+00', '10 w-7 sku2 sku3'),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', '2026-11-30 09:12:14.911099+00', '11 w-8 sku3 sku3'),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', '2026-11-30 09:12:14.911099+00', '12 w-9 sku1 sku3'),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', '2026-11-30 09:12:14.911099+00', '3 w-10 sku2 sku3'),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', '2026-11-30 09:12:14.911099+00', '4 w-11 sku3 sku3'),
	('01a22bb9-ecd1-70cc-bf13-e5934e0f314d', '2026-11-30 09:12:14.911099+00', '13 w-unknown no-such');
INSERT INTO order_timeline (order_id, seq, at, type, actor, facts) VALUES
	('01a22bb9-ecd0-7034-9a59-76e349112602', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 6980, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": [], "total": 8970, "status": "allocated", "locations": [1], "channel_id": 1}'),
	('01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 1, '2026-11-30 09:12:14.911099+00', 'order.placed', 'system', '{"holds": ["unknown_sku"], "total": 1990, "status": "on_hold", "locations": [], "channel_id": 1}'),
	('01a22bb9-ecd0-7034-9a59-76e349112602', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 2, "due_at": "2026-11-30T21:00:00Z", "number": 1, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035634d2ede4"}'),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 3, "due_at": "2026-11-30T21:00:00Z", "number": 2, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-0357835c66b2"}'),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 3, '2026-11-30 06:12:15.403094+00', 'fulfillment.accepted', 'system', '{"number": 2, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-0357835c66b2"}'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 2, "due_at": "2026-11-30T21:00:00Z", "number": 3, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-0358010dd291"}'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 3, '2026-11-30 06:12:15.403094+00', 'fulfillment.accepted', 'system', '{"number": 3, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-0358010dd291"}'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 4, '2026-11-30 06:12:15.403094+00', 'fulfillment.picked', 'system', '{"lines": [[1, 3, 1], [2, 3, 1]], "number": 3, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-0358010dd291"}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 3, "due_at": "2026-11-30T21:00:00Z", "number": 4, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-03596a52f773"}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 3, '2026-11-30 06:12:15.403094+00', 'fulfillment.accepted', 'system', '{"number": 4, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-03596a52f773"}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 4, '2026-11-30 06:12:15.403094+00', 'fulfillment.picked', 'system', '{"lines": [[1, 1, 2], [2, 3, 1]], "number": 4, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-03596a52f773"}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 5, '2026-11-30 06:12:15.403094+00', 'fulfillment.packed', 'system', '{"units": 3, "number": 4, "parcels": 1, "location_id": 1, "weight_grams": null, "fulfillment_id": "01a22bb9-ef52-71a1-be29-03596a52f773", "awaits_document": true}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 2, "due_at": "2026-11-30T21:00:00Z", "number": 5, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035ae18faf6b"}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 3, '2026-11-30 06:12:15.403094+00', 'fulfillment.accepted', 'system', '{"number": 5, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035ae18faf6b"}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 4, '2026-11-30 06:12:15.403094+00', 'fulfillment.picked', 'system', '{"lines": [[1, 2, 1], [2, 3, 1]], "number": 5, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035ae18faf6b"}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 5, '2026-11-30 06:12:15.403094+00', 'fulfillment.packed', 'system', '{"units": 2, "number": 5, "parcels": 1, "location_id": 1, "weight_grams": null, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035ae18faf6b", "awaits_document": true}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 2, '2026-11-30 06:12:15.403094+00', 'fulfillment.released', 'system', '{"units": 3, "due_at": "2026-11-30T21:00:00Z", "number": 6, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035b2a39182b"}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 3, '2026-11-30 06:12:15.403094+00', 'fulfillment.accepted', 'system', '{"number": 6, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035b2a39182b"}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 4, '2026-11-30 06:12:15.403094+00', 'fulfillment.picked', 'system', '{"lines": [[1, 3, 2], [2, 3, 1]], "number": 6, "location_id": 1, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035b2a39182b"}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 5, '2026-11-30 06:12:15.403094+00', 'fulfillment.packed', 'system', '{"units": 3, "number": 6, "parcels": 1, "location_id": 1, "weight_grams": null, "fulfillment_id": "01a22bb9-ef52-71a1-be29-035b2a39182b", "awaits_document": true}'),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 2, '2026-11-30 09:12:15.61968+00', 'order.cancelled', 'system', '{"lines": {"1": 1, "2": 1}, "whole": true, "amount": 6980, "reason": "Cliente desistiu", "locations": [1]}'),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 2, '2026-11-30 09:12:15.713476+00', 'order.hold_placed', 'system', '{"kind": "fraud", "note": "Valor alto"}'),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 2, '2026-11-30 09:12:15.762134+00', 'order.note_added', 'system', '{"note_id": "01a22bb9-f0ac-7214-82da-7f836759e7cb"}');
INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id, document_id) VALUES
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 1, 1, 2, 2, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 2, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 1, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 2, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 1, 1, 1, 2, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 2, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 1, 1, 2, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 2, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 1, 1, 3, 2, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 2, 1, 3, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-ecd1-70cc-bf13-e5934e0f314d', 1, 1, NULL, 1, 'unplaced', NULL, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e349112602', 1, 1, 1, 1, 'released', 1, '01a22bb9-ef52-71a1-be29-035634d2ede4', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e349112602', 2, 1, 3, 1, 'released', 1, '01a22bb9-ef52-71a1-be29-035634d2ede4', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 1, 1, 2, 2, 'picking', 1, '01a22bb9-ef52-71a1-be29-0357835c66b2', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 2, 1, 3, 1, 'picking', 1, '01a22bb9-ef52-71a1-be29-0357835c66b2', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 1, 1, 3, 1, 'picked', 1, '01a22bb9-ef52-71a1-be29-0358010dd291', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 2, 1, 3, 1, 'picked', 1, '01a22bb9-ef52-71a1-be29-0358010dd291', NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 1, 1, 1, 2, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-03596a52f773', '01a22bb9-ef84-71ef-933a-9415c00df797', NULL),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 2, 1, 3, 1, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-03596a52f773', '01a22bb9-ef84-71ef-933a-9415c00df797', NULL),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 1, 1, 2, 1, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-035ae18faf6b', '01a22bb9-ef84-71ef-933a-9416d54be891', NULL),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 2, 1, 3, 1, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-035ae18faf6b', '01a22bb9-ef84-71ef-933a-9416d54be891', NULL),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 1, 1, 3, 2, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-035b2a39182b', '01a22bb9-ef84-71ef-933a-94171cb6755d', NULL),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 2, 1, 3, 1, 'awaiting_document', 1, '01a22bb9-ef52-71a1-be29-035b2a39182b', '01a22bb9-ef84-71ef-933a-94171cb6755d', NULL),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 1, 1, 1, 1, 'cancelled', 1, NULL, NULL, NULL),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 2, 1, 3, 1, 'cancelled', 1, NULL, NULL, NULL),
	('01a22bb9-f333-707d-943f-b2b784fb3aaf', 1, 1, 1, 1, 'allocated', 1, NULL, NULL, NULL),
	('01a22bb9-f333-707d-943f-b2b8399bef16', 1, 1, 1, 1, 'allocated', 1, NULL, NULL, NULL);
INSERT INTO outbox (key, seq, type, version, payload, actor, at) VALUES
	('order:01a22bb9-f333-707d-943f-b2b784fb3aaf', 1, 'order.placed', 1, '{"id":"01a22bb9-f333-707d-943f-b2b784fb3aaf","channel_id":1,"total":1990,"status":"allocated","holds":[],"locations":[1]}', 'system', '2026-11-30 09:12:16.454941+00'),
	('order:01a22bb9-f333-707d-943f-b2b8399bef16', 1, 'order.placed', 1, '{"id":"01a22bb9-f333-707d-943f-b2b8399bef16","channel_id":1,"total":1990,"status":"allocated","holds":[],"locations":[1]}', 'system', '2026-11-30 09:12:16.454941+00');
INSERT INTO subscriber (name, "position", moved_at, failures, error) VALUES
	('order_timeline', 36, '2026-11-30 09:12:15.938388+00', 0, NULL),
	('order_search', 36, '2026-11-30 09:12:15.985979+00', 0, NULL),
	('order_customer', 36, '2026-11-30 09:12:16.034372+00', 0, NULL),
	('order_payments', 36, '2026-11-30 09:12:16.135978+00', 0, NULL),
	('order_work', 36, '2026-11-30 09:12:16.261379+00', 0, NULL),
	('order_places', 36, '2026-11-30 09:12:16.33413+00', 0, NULL),
	('waiting_orders', 36, '2026-11-30 09:12:16.357188+00', 0, NULL);
INSERT INTO revision (name, n) VALUES
	('network', 1),
	('catalog', 1),
	('identity', 1);
INSERT INTO routing_decision (order_id, attempt, decided_at, cost, record) VALUES
	('01a22bb9-ecd0-7034-9a59-76e349112602', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,1,101,null],[2,3,1,103,null]],"free":[[20,20],[20,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e4f479e502', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,2,2,102,null],[2,3,1,103,null]],"free":[[20,20],[19,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e5f1eecf72', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,3,1,103,null],[2,3,1,103,null]],"free":[[18,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e68fc005ba', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,2,101,null],[2,3,1,103,null]],"free":[[19,20],[16,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e7782f645d', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,2,1,102,null],[2,3,1,103,null]],"free":[[18,20],[15,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e806ca985f', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,3,2,103,null],[2,3,1,103,null]],"free":[[14,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76e9d688e1c8', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,1,101,null],[2,3,1,103,null]],"free":[[17,20],[11,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76ea866a047f', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,2,2,102,null],[2,3,1,103,null]],"free":[[17,20],[10,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76ebef78a961', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,3,1,103,null],[2,3,1,103,null]],"free":[[9,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76ecc56d6437', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,2,101,null],[2,3,1,103,null]],"free":[[16,20],[7,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76ed31a7059e', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,2,1,102,null],[2,3,1,103,null]],"free":[[15,20],[6,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,1],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-ecd0-7034-9a59-76ee80b9753f', 1, '2026-11-30 09:12:14.891512+00', 1298, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,3,2,103,null],[2,3,1,103,null]],"free":[[5,20]],"costs":[1298,1484],"parcels":[[0,1,987,1,[[1,2],[2,1]]]],"cost":1298,"lead_days":2}'),
	('01a22bb9-f333-707d-943f-b2b784fb3aaf', 1, '2026-11-30 09:12:16.452205+00', 1218, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,1,101,null]],"free":[[15,20]],"costs":[1218,1404],"parcels":[[0,1,987,1,[[1,1]]]],"cost":1218,"lead_days":2}'),
	('01a22bb9-f333-707d-943f-b2b8399bef16', 1, '2026-11-30 09:12:16.452205+00', 1218, '{"rules":1,"network":1,"channel":1,"method":"ship","to":"SP","locations":[[1,2]],"classes":[[0,151,80],[1,152,80]],"rates":[[1000,[987,1172]]],"lines":[[1,1,1,101,null]],"free":[[14,20]],"costs":[1218,1404],"parcels":[[0,1,987,1,[[1,1]]]],"cost":1218,"lead_days":2}');
INSERT INTO sequencer (one, "position") VALUES
	(true, 36);
INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, per_extra_kg, lead_days) VALUES
	(1, 'SP', 'SP', 1000, 950, 300, 2),
	(1, 'SP', 'SP', 5000, 1150, 300, 2),
	(1, 'SP', 'SP', 30000, 2400, 300, 2),
	(1, 'RJ', 'SP', 1000, 987, 300, 2),
	(1, 'RJ', 'SP', 5000, 1187, 300, 2),
	(1, 'RJ', 'SP', 30000, 2437, 300, 2),
	(1, 'SP', 'RJ', 1000, 987, 300, 2),
	(1, 'SP', 'RJ', 5000, 1187, 300, 2),
	(1, 'SP', 'RJ', 30000, 2437, 300, 2),
	(1, 'RJ', 'RJ', 1000, 950, 300, 2),
	(1, 'RJ', 'RJ', 5000, 1150, 300, 2),
	(1, 'RJ', 'RJ', 30000, 2400, 300, 2);
INSERT INTO shipment (id, fulfillment_id, order_id, carrier, tracking_code, tracking_url, weight_grams, shipped_at, delivered_at, received_by) VALUES
	('01a22bb9-ef84-71ef-933a-9415c00df797', '01a22bb9-ef52-71a1-be29-03596a52f773', '01a22bb9-ecd0-7034-9a59-76e68fc005ba', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a22bb9-ef84-71ef-933a-9416d54be891', '01a22bb9-ef52-71a1-be29-035ae18faf6b', '01a22bb9-ecd0-7034-9a59-76e7782f645d', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a22bb9-ef84-71ef-933a-94171cb6755d', '01a22bb9-ef52-71a1-be29-035b2a39182b', '01a22bb9-ecd0-7034-9a59-76e806ca985f', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT pg_catalog.setval('api_key_id_seq', 1, true);
SELECT pg_catalog.setval('audit_id_seq', 1, true);
SELECT pg_catalog.setval('category_id_seq', 1, false);
SELECT pg_catalog.setval('channel_id_seq', 1, true);
SELECT pg_catalog.setval('customer_number_seq', 1, false);
SELECT pg_catalog.setval('establishment_id_seq', 1, true);
SELECT pg_catalog.setval('fulfillment_order_number_seq', 6, true);
SELECT pg_catalog.setval('import_run_number_seq', 1, false);
SELECT pg_catalog.setval('legal_entity_id_seq', 1, true);
SELECT pg_catalog.setval('location_id_seq', 2, true);
SELECT pg_catalog.setval('media_id_seq', 1, false);
SELECT pg_catalog.setval('movement_id_seq', 34, true);
SELECT pg_catalog.setval('product_id_seq', 1, true);
SELECT pg_catalog.setval('sales_order_number_seq', 15, true);
SELECT pg_catalog.setval('saved_view_id_seq', 1, false);
SELECT pg_catalog.setval('service_id_seq', 1, true);
SELECT pg_catalog.setval('variant_id_seq', 3, true);
