-- Columns without a default: no row is written, whatever the size of the table, also of a hypertable with compressed
-- chunks and of a distributed table.

alter table samples add column poll_s integer;

comment on column samples.poll_s is 'How far apart the edge took its samples, s; null: 10 s or less, or not known';

alter table devices
    add column greatest_w double precision,
    add column counted smallint,
    add column counting smallint,
    add column counted_from timestamptz;

comment on column devices.greatest_w is 'The greatest power that a sample showed of the unit, W; never goes back';
comment on column devices.counted is 'Version of the arithmetic by which all rollups are counted whose samples are still there; null: an earlier one than 2';
comment on column devices.counting is 'Version for which the rollups are being counted anew, the newest first';
comment on column devices.counted_from is 'Rollups from here on are counted for it';
