-- SPDX-License-Identifier: Apache-2.0
-- A shop's database, generated inside of sqlite3 from a fixed hash, then asked
-- the usual questions: look-ups in random order by index, joins, aggregates, a
-- sort. Everything is in memory; the output is the same in every run.
PRAGMA temp_store = MEMORY;
PRAGMA journal_mode = OFF;

CREATE TABLE customer (id INTEGER PRIMARY KEY, region INTEGER, name TEXT);
CREATE TABLE product (id INTEGER PRIMARY KEY, price INTEGER, label TEXT);
CREATE TABLE item (
  id INTEGER PRIMARY KEY, customer INTEGER, product INTEGER, quantity INTEGER,
  day INTEGER, note TEXT
);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
INSERT INTO customer
SELECT i, (i * 7919) % 97, printf('customer-%08x', (i * 2654435761) % 4294967291)
FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO product
SELECT i, 100 + (i * 48271) % 9900, printf('product-%08x', (i * 40503) % 65521)
FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000)
INSERT INTO item
SELECT i, 1 + ((i * 2654435761) % 4294967291) % 50000, 1 + (i * 40503 + i / 7) % 20000,
  1 + i % 9, ((i * i) % 69621 + i / 13) % 730,
  printf('%08x-%016x', (i * 2654435761) % 4294967291, i * i * 40503)
FROM n;

CREATE INDEX item_by_customer ON item (customer, day);
CREATE INDEX item_by_product ON item (product);

.print revenue by region
SELECT c.region, count(*), sum(i.quantity * p.price)
FROM customer c JOIN item i ON i.customer = c.id JOIN product p ON p.id = i.product
WHERE c.region < 12
GROUP BY c.region ORDER BY c.region;

.print best products of the first quarter
SELECT p.id, p.label, sum(i.quantity) AS sold
FROM product p JOIN item i ON i.product = p.id
WHERE i.day < 90
GROUP BY p.id ORDER BY sold DESC, p.id LIMIT 10;

.print customers who came back on the same day
SELECT count(*) FROM item a JOIN item b
  ON a.customer = b.customer AND a.day = b.day AND a.id < b.id
WHERE a.customer < 8000;

.print changes
UPDATE item SET quantity = quantity + 1 WHERE customer % 50 = 7;
DELETE FROM item WHERE product % 400 = 3;
SELECT count(*), sum(quantity), max(note) FROM item;

.print notes in order
SELECT substr(note, 1, 8), count(*) AS n FROM item
GROUP BY 1 ORDER BY n DESC, 1 LIMIT 5;
