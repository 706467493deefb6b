create table samples (
    device_id           text not null,
    ts                  timestamptz not null,
    pv_power_w          double precision not null,
    pv_daily_kwh        double precision,
    battery_power_w     double precision,
    battery_soc_pct     double precision,
    battery_temp_c      double precision,
    load_power_w        double precision,
    export_power_w      double precision,
    pv_total_kwh        double precision,
    import_total_kwh    double precision,
    export_total_kwh    double precision,
    charge_total_kwh    double precision,
    discharge_total_kwh double precision,
    direct_total_kwh    double precision,
    sample_count        integer not null,
    "values"            jsonb,
    received_at         timestamptz not null default now(),
    primary key (device_id, ts)
);

-- With a hundred registers a row is longer than the 2 kB from which on Postgres moves columns to a second table, where
-- each sample would cost a row and an entry in an index more. Compressed in its place it rarely fills a page.
alter table samples alter column "values" set storage main;

comment on table samples is 'One row for each sample of an inverter. The first write of a key wins. Rows that other programs insert or change are missing in rollups.';
comment on column samples.ts is 'When the inverter was read, whole milliseconds';
comment on column samples.pv_power_w is 'Power of the panels, W';
comment on column samples.pv_daily_kwh is 'Energy of the panels since local midnight, kWh';
comment on column samples.battery_power_w is 'W, > 0 charging, < 0 discharging; null: no battery, or not known';
comment on column samples.battery_soc_pct is 'State of charge, %';
comment on column samples.battery_temp_c is 'Temperature of the battery, degrees Celsius';
comment on column samples.load_power_w is 'W, what the house takes; < 0: another generator feeds in behind the meter';
comment on column samples.export_power_w is 'W, > 0 to the grid, < 0 from it';
comment on column samples.pv_total_kwh is 'Lifetime counter of the inverter, kWh. Energy is the difference of two readings';
comment on column samples.import_total_kwh is 'Lifetime counter, kWh from the grid';
comment on column samples.export_total_kwh is 'Lifetime counter, kWh to the grid';
comment on column samples.charge_total_kwh is 'Lifetime counter, kWh into the battery';
comment on column samples.discharge_total_kwh is 'Lifetime counter, kWh out of the battery';
comment on column samples.direct_total_kwh is 'Lifetime counter, kWh of the panels used in the house at once';
comment on column samples.sample_count is 'Raw samples in this one, the weight of its averages';
comment on column samples."values" is 'Every other register of the inverter by its name, in the unit of the register';
comment on column samples.received_at is 'When this row was stored first';

-- A reader of a year wants rows of one level: each has its own pages. Rows change with each sample until their time is
-- over: the space that is left in each page keeps the new versions where the old ones were, and out of the index. The
-- packed form has at most some 650 bytes.
create table rollups (
    device_id text not null,
    level     smallint not null,
    start     timestamptz not null,
    packed    bytea not null,
    primary key (device_id, level, start)
) partition by list (level);

create table rollups_base    partition of rollups for values in (1) with (fillfactor = 70);
create table rollups_hours   partition of rollups for values in (2) with (fillfactor = 70);
create table rollups_watches partition of rollups for values in (3) with (fillfactor = 70);
create table rollups_days    partition of rollups for values in (4) with (fillfactor = 70);

comment on table rollups is 'What the samples of a span say together. Computed by sunspool in the transaction that stores a sample.';
comment on column rollups.level is '1: five minutes, 2: an hour, 3: four hours, 4: a day, of UTC';
comment on column rollups.start is 'Where the span begins';
comment on column rollups.packed is 'Binary form of sunspool, the same as in its embedded store';

create table devices (
    device_id text primary key,
    about     jsonb,
    pruned    timestamptz
) with (fillfactor = 70);

comment on table devices is 'Every device that has a sample or was described';
comment on column devices.about is 'What the edge said of itself last: tz, edge, seen';
comment on column devices.pruned is 'Samples before this time may have been deleted; the rollups still count them';

create table meta (
    key   text primary key,
    value text not null
);

comment on table meta is 'check: when somebody last proved that this database can be written to';
