-- A unit's events and days lie all over their tables, as they came in. What is measured of them stands in the indexes by unit
-- as well, so that reading a unit takes a few pages of an index, however much is stored.
drop index event_unit;
create index event_unit on event (unit_type, unit_id, at) include (name, value, arrival, n);
alter table activity drop constraint activity_key;
alter table activity add constraint activity_key primary key (unit_type, unit_id, day) include (arrival);
